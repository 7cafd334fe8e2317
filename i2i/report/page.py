"""Self-contained HTML pages: writing them from templates, and formatting filters."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import i2i
from i2i.storage.files import write_text

_FLAG = re.compile(r"--[a-z][a-z0-9_.-]*[a-z0-9]")


def write_page(path: Path, template: str, **content: Any) -> Path:
    """Render a template, write the page atomically, and return its path.

    Raises:
        DataError: The page cannot be written.
    """
    page = _environment().get_template(template).render(version=i2i.__version__, **content)
    write_text(path, page)
    return path


def figure(value: float | None) -> str:
    """Format a number with about three significant digits.

    Examples:
        >>> figure(0.58498), figure(1234.5), figure(0.00042), figure(0.0), figure(None)
        ('0.585', '1234', '0.00042', '0', '')
    """
    if value is None:
        return ""
    if value == 0:
        return "0"
    if abs(value) < 0.01:
        return f"{value:.2g}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def flags(text: str) -> Markup:
    """Mark up command-line options in a text as code.

    Examples:
        >>> flags("Raise --loss.cycle, or <more>.")
        Markup('Raise <code>--loss.cycle</code>, or &lt;more&gt;.')
    """
    return Markup(_FLAG.sub(r"<code>\g<0></code>", str(escape(text))))


@cache  # which keeps the compiled templates
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("i2i.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "flags": flags}
    return environment
