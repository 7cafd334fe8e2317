"""The documentation in a real browser, read from its folder: no errors, no network, nothing cut off, search works.

`make docs` has to build it first, which takes a minute or two, so these tests run with -m full.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browsing import DESKTOP, PHONE, protruding, watch

ROOT = Path(__file__).parents[1]
LOCAL = ("file:", "data:", "blob:")

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The documentation as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
        timeout=900,
    )
    return folder


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_no_page_complains_asks_the_network_or_is_wider_than_the_window(browser, site, viewport):
    watched = watch(browser, viewport)
    paths = sorted(path for path in site.rglob("*.html") if path.name != "404.html")  # only servers show that one
    wide = {}

    for path in paths:
        watched.page.goto(path.as_uri())
        over = protruding(watched.page, "article *", scrolling="pre, svg, .md-typeset__scrollwrap, .doc-signature")
        if over or watched.page.evaluate("document.documentElement.scrollWidth") != viewport["width"]:
            wide[path.relative_to(site).as_posix()] = over

    assert len(paths) > 70
    assert wide == {}
    assert watched.complaints == []
    assert [url for url in watched.requests if not url.startswith(LOCAL)] == []


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_search_works_from_files_and_its_hits_open(browser, site, viewport):
    watched = watch(browser, viewport)
    watched.page.goto((site / "index.html").as_uri())

    if viewport == PHONE:
        watched.page.locator("label[for=__search].md-header__button").click()
    watched.page.locator(".md-search__input").click()
    watched.page.locator(".md-search__input").press_sequentially("few images")
    hit = watched.page.locator(".md-search-result__link[href*='small-data.html']").first
    hit.wait_for(timeout=60_000)

    assert "Training on few images" in hit.inner_text()
    hit.click()
    watched.page.wait_for_url("**/small-data.html*")
    assert watched.page.locator("h1").inner_text().startswith("Training on few images")
    assert "overfit" in watched.page.locator("article").inner_text()
    assert watched.complaints == []
    assert [url for url in watched.requests if not url.startswith(LOCAL)] == []
