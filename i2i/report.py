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
from i2i.evaluate import Scores
from i2i.files import whole_file
from i2i.hookspecs import hookimpl
from i2i.images import DOMAINS
from i2i.run import METRICS_FILE, REPORT_FILE, SAMPLES, Run

WIDTH, HEIGHT, POINTS = 640, 150, 160


@dataclass(frozen=True)
class Curve:
    """One loss over the steps of a stage, averaged to at most ``POINTS`` points, as an SVG polyline."""

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
    ]


def _curves(entries: Sequence[dict[str, Any]], stage: str) -> list[Curve]:
    losses = [entry["losses"] for entry in entries if entry["stage"] == stage and "losses" in entry]
    return [_curve(name, [one[name] for one in losses]) for name in losses[0]] if losses else []


def _curve(name: str, values: list[float]) -> Curve:
    chunk = -(-len(values) // POINTS)
    means = [sum(part) / len(part) for part in (values[i : i + chunk] for i in range(0, len(values), chunk))]
    top = max(max(means), 1e-12)
    across = WIDTH / max(1, len(means) - 1)
    points = " ".join(f"{i * across:.1f},{HEIGHT * (1 - mean / top):.1f}" for i, mean in enumerate(means))
    return Curve(name, points, means[0], means[-1], top)


def _picture(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode() if path.exists() else ""
