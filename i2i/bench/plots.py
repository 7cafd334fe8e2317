"""Figures of a bench: pictures side by side, final scores per seed, and scores against drawings seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from i2i.bench import statistics
from i2i.bench.statistics import Point, Result
from i2i.errors import ConfigError
from i2i.images.grids import Block
from i2i.report.dot_plots import MARKS, way
from i2i.storage.files import whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#222222", "#8A6D00", "#56B4E9")
"""The Okabe-Ito palette, which colour-blind readers can distinguish; the two blues are as far apart as can be."""


def check_available() -> None:
    """Raise `ConfigError` if a package that a bench needs is missing."""
    try:
        import matplotlib
        import scipy  # noqa: F401

        matplotlib.use("agg")
    except ImportError as error:
        raise ConfigError(f"i2i bench needs {error.name}. Install it: pip install 'i2i[bench]'.") from error


def pictures(blocks: Sequence[Block], cell: int = 84) -> Image.Image:
    """Draw one row per image with its translations, one column per contender.

    Args:
        blocks: One per group; each row is labelled by contender and has the same images in the same order.
        cell: Side of one picture in pixels.
    """
    names = [label for label, _ in blocks[0].rows]
    rows = [(block.title, images) for block in blocks for images in zip(*(row for _, row in block.rows), strict=True)]
    gap, left, top = 4, 80, 26
    sheet = Image.new("RGB", (left + len(names) * (cell + gap), top + len(rows) * (cell + gap)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, name in enumerate(names):
        draw.text((left + column * (cell + gap) + cell / 2, top / 2), name, "black", font, anchor="mm")
    for row, (title, images) in enumerate(rows):
        y = top + row * (cell + gap)
        if row == 0 or rows[row - 1][0] != title:
            draw.text((gap, y + cell / 2), title, "black", font, anchor="lm")
        for column, image in enumerate(images):
            sheet.paste(image.resize((cell, cell), Image.Resampling.BICUBIC), (left + column * (cell + gap), y))
    return sheet


def dots(results: Sequence[Result], metric: str, path: Path) -> None:
    """Plot final scores: one dot per seed, the means, and lines for real drawings and untranslated sources."""
    names, columns = statistics.contenders(results), statistics.groups(results)
    figure, axes = _panels(columns, results, metric, height=0.9 + 0.28 * len(names))
    for group, panel in zip(columns, axes, strict=True):
        for row, name in enumerate(names):
            finals = [r.value(group, metric) for r in results if r.contender == name and r.final]
            values = [value for value in finals if value is not None]
            panel.plot(values, [row] * len(values), "o", color=COLOURS[row % len(COLOURS)], markersize=4, alpha=0.6)
            if values:
                panel.plot([sum(values) / len(values)] * 2, [row - 0.3, row + 0.3], color="black", linewidth=1.2)
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.set_ylim(len(names) - 0.5, -0.5)
        _mark(panel, "x", results, group, metric)
    _finish(figure, results, metric, path)


def curves(results: Sequence[Result], metric: str, path: Path) -> None:
    """Plot scores against drawings seen of each group: mean and range over seeds."""
    names, columns = statistics.contenders(results), statistics.groups(results)[:-1]
    figure, axes = _panels(columns, results, metric, height=2.6)
    for group, panel in zip(columns, axes, strict=True):
        for row, name in enumerate(names):
            points = statistics.course(results, name, group, metric)
            if points:
                _curve(panel, points, name, COLOURS[row % len(COLOURS)])
        panel.set_xlabel(f"drawings of '{group}' seen", fontsize=8)
        _mark(panel, "y", results, group, metric)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), fontsize=8, frameon=False)
    _finish(figure, results, metric, path, below=0.09)


def _curve(panel: Axes, points: Sequence[Point], name: str, colour: str) -> None:
    """Plot mean and range over seeds; a single point is a larger dot."""
    xs, ys = [point.seen for point in points], [point.value for point in points]
    if len(points) == 1:
        panel.plot(xs, ys, "o", color=colour, markersize=6, label=name)
        return
    panel.plot(xs, ys, "-o", color=colour, markersize=3, linewidth=1.4, label=name)
    low, high = ([end(point.values) for point in points] for end in (min, max))
    panel.fill_between(xs, low, high, color=colour, alpha=0.15)


def _panels(columns: Sequence[str], results: Sequence[Result], metric: str, height: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(columns) + 0.8, height + 0.5), layout="constrained")
    axes = [figure.add_subplot(1, len(columns), index + 1) for index in range(len(columns))]
    for group, panel in zip(columns, axes, strict=True):
        panel.set_title(group, fontsize=9)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.25)
    return figure, axes


def _mark(panel: Axes, axis: str, results: Sequence[Result], group: str, metric: str) -> None:
    """Draw lines for real drawings (dotted) and untranslated sources (dashed) without changing the axis limits."""
    line = {"x": panel.axvline, "y": panel.axhline}[axis]
    limits = getattr(panel, f"get_{axis}lim")()
    for name, style in zip(MARKS, (":", "--"), strict=True):
        value = statistics.mark(results, group, metric, name)
        if value is not None:
            line(value, color="gray", linestyle=style, linewidth=1)
    getattr(panel, f"set_{axis}lim")(limits)


def _finish(figure: Figure, results: Sequence[Result], metric: str, path: Path, below: float = 0.0) -> None:
    up = way(bool(statistics.metrics(results)[metric].higher_is_better))
    figure.suptitle(f"{metric} ({up}; dotted: real drawings, dashed: untranslated sources)", fontsize=9)
    figure.get_layout_engine().set(rect=(0, below, 1, 1 - below))  # type: ignore[union-attr,call-arg]
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110)
