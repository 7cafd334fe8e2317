"""A page in a browser, with all that it complains of and asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PROTRUDING = """([within, except]) => [...document.querySelectorAll(within)]
    .filter((one) => !one.closest(except) && one.getBoundingClientRect().right > innerWidth + 0.5)
    .map((one) => one.outerHTML.slice(0, 80))"""


@dataclass
class Watched:
    """A page, its complaints, and the addresses it asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def watch(browser: Any, viewport: dict[str, int] = DESKTOP, **options: Any) -> Watched:
    """Open an empty page, in a window of some size."""
    watched = Watched(browser.new_page(viewport=viewport, **options))
    watched.page.on("console", lambda message: watched.complaints.append(message.text))
    watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    watched.page.on("request", lambda request: watched.requests.append(request.url))
    return watched


def protruding(page: Any, within: str, scrolling: str) -> list[str]:
    """Return the elements beyond the right edge of the window, except in those that scroll by themselves."""
    return page.evaluate(PROTRUDING, [within, scrolling])
