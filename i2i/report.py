"""``report.html``: one self-contained offline page that shows what a run did and what came out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from i2i.config import to_toml
from i2i.files import whole_file
from i2i.folder import METRICS_FILE, REPORT_FILE, SAMPLES
from i2i.hookspecs import hookimpl
from i2i.images import DOMAINS
from i2i.run import Run
from i2i.scores import Scores

WIDTH, HEIGHT, POINTS = 640, 150, 160


@dataclass(frozen=True)
class Curve:
    """One value over the steps of a stage, averaged to at most ``POINTS`` points, as an SVG polyline."""

    name: str
    points: str
    first: float
    last: float
    top: float


class Reporter:
    """Writes the report whenever scores are there."""

    @hookimpl(trylast=True)
    def on_evaluate(self, run: Run, step: int, scores: Scores) -> None:
        """Write the page; runs after the listeners that write grids and scores."""
        write_report(run)


def write_report(run: Run) -> Path:
    """Write ``report.html`` from what the run folder holds, and return its path."""
    entries = _entries(run.folder / METRICS_FILE)
    environment = Environment(loader=PackageLoader("i2i"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("report.html.j2").render(
        title=f"{run.config.backbone['name']} with transfer '{run.config.transfer['name']}'",
        config=to_toml(run.config.model_dump(mode="json")),
        data=[_counts(run, group) for group in run.dataset.groups],
        scores=_score_rows(entries),
        stages=[(stage, _curves(entries, stage)) for stage in run.config.stages],
        gauges=[(stage, _gauges(entries, stage)) for stage in run.config.stages],
        result=_picture(run.folder / SAMPLES / f"{run.stage}.png"),
        grids=[(path.stem, _picture(path)) for path in sorted((run.folder / SAMPLES).glob("*-*.png"))],
        size=(WIDTH, HEIGHT),
    )
    path = run.folder / REPORT_FILE
    with whole_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _counts(run: Run, group: str) -> tuple[str, int, int, int]:
    source, target = (len(run.dataset.train(group, domain)) for domain in DOMAINS)
    return group, source, target, len(run.dataset.pairs(group) or ())


def _score_rows(entries: Iterable[dict[str, Any]]) -> list[tuple[str, str, str, str, int]]:
    return [
        (entry["stage"], group, metric, f"{s['value']:.3f} [{s['low']:.3f}, {s['high']:.3f}]", s["n"])
        for entry in entries
        for group, own in entry.get("scores", {}).items()
        for metric, s in own.items()
        if s["value"] is not None
    ]


def _curves(entries: Sequence[dict[str, Any]], stage: str) -> list[Curve]:
    losses = [entry["losses"] for entry in entries if entry["stage"] == stage and "losses" in entry]
    return [_curve(name, [one[name] for one in losses]) for name in losses[0]] if losses else []


def _gauges(entries: Sequence[dict[str, Any]], stage: str) -> list[Curve]:
    """Return a curve for every figure of overfitting, and for every probability of adaptive augmentation."""
    measured = [entry for entry in entries if entry["stage"] == stage and "overfitting" in entry]
    values: dict[str, list[float]] = {}
    for entry in measured:
        for label, key in (("overfitting of", "overfitting"), ("augmentation of", "augmentation")):
            for name, value in entry[key].items():
                values.setdefault(f"{label} {name}", []).append(value)
    return [_curve(name, own) for name, own in sorted(values.items(), reverse=True)]


def _curve(name: str, values: list[float]) -> Curve:
    chunk = -(-len(values) // POINTS)
    means = [sum(part) / len(part) for part in (values[i : i + chunk] for i in range(0, len(values), chunk))]
    low = min(0.0, *means)
    top = max(low + 1e-12, *means)
    drawn = means if len(means) > 1 else means * 2  # a line needs two points
    across = WIDTH / (len(drawn) - 1)
    heights = (HEIGHT * (1 - (mean - low) / (top - low)) for mean in drawn)
    points = " ".join(f"{i * across:.1f},{height:.1f}" for i, height in enumerate(heights))
    return Curve(name, points, means[0], means[-1], top)


def _picture(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode() if path.exists() else ""
