"""A run folder as a run leaves it, made without training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2i.config.run import RunConfig
from i2i.images.files import write_image
from i2i.images.grids import Block, grid
from i2i.storage.run_folder import write_config

GROUPS = {"woman": 6, "kid": 2}
"""Images in the grids, by group."""
SHADES = {"source": 60, "base model": 120, "translation": 180, "true drawing": 240}


def score(value: float, **more: Any) -> dict[str, Any]:
    """A score as an evaluation writes it."""
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 6} | more


def write_lines(folder: Path, *lines: dict[str, Any]) -> None:
    """Write ``metrics.jsonl``."""
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def draw(folder: Path, name: str, *labels: str, shift: int = 0) -> None:
    """Write a grid whose rows are told apart by their shade, and groups by their number of images."""
    blocks = [
        Block(
            group,
            [
                (label, [Image.new("RGB", (8, 8), (SHADES[label] + shift, 40 * i, 0)) for i in range(n)])
                for label in labels
            ],
        )
        for group, n in GROUPS.items()
    ]
    write_image(grid(blocks, cell=16), folder / "samples" / f"{name}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration and nothing else."""
    sections = {
        "backbone": {"name": "ugatit", "channels": 16},
        "transfer": {"name": "branch"},
        "data": {"name": "emoji"},
    }
    config = RunConfig(steps=40, transfer_steps=20, **sections)
    machine = {"device": "cpu", "processor": "Abacus", "system": "Linux", "threads": 1, "torch": "2.14.1"}
    write_config(tmp_path / "run", config, {}, machine)
    return tmp_path / "run"


@pytest.fixture
def finished(folder: Path) -> Path:
    """The folder of a finished run."""
    lines = [*_stage("base", 40), *_stage("transfer", 20)]
    write_lines(folder, *lines)
    for stage, steps in (("base", (20, 40)), ("transfer", (10, 20))):
        for step in steps:
            draw(folder, f"{stage}-{step:06d}", "source", "translation", "true drawing", shift=step)
    draw(folder, "base", "source", "translation", "true drawing")
    draw(folder, "transfer", "source", "base model", "translation", "true drawing")
    for name in ("base", "model"):
        (folder / f"{name}.safetensors").write_bytes(b"")
    return folder


@pytest.fixture
def lines() -> Callable[[str, int], list[dict[str, Any]]]:
    """What a stage of some steps writes down."""
    return _stage


def _stage(stage: str, steps: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        losses = {"generator/adversarial": 2 / step, "discriminator/adversarial": 1 / step, "generator/cycle": 3.0}
        found.append({"stage": stage, "step": step, "seen": {"woman": 4 * step}, "seconds": 1.5, "losses": losses})
        if step % 10 == 0:
            figures = {"woman": 0.1, "kid": 0.7}
            found.append({"stage": stage, "step": step, "overfitting": figures, "augmentation": {}})
            found.append(_scores(stage, step))
    symptoms = {"woman": {"checkerboard": 0.9, "inversion": -0.8}, "kid": {"checkerboard": 0.2, "inversion": -0.8}}
    images = {group: {"train a": 9, "train b": 5, "test a": n, "test b": n, "pairs": n} for group, n in GROUPS.items()}
    return [*found, {"stage": stage, "step": steps, "symptoms": symptoms, "images": images}]


def _scores(stage: str, step: int) -> dict[str, Any]:
    worse = {"base": 0.2, "transfer": 0.0}[stage] + (100 - step) / 1000
    about = {"network": "AlexNet", "resize": None, "split": "held-out pairs", "higher_is_better": False, "note": None}
    marks = {"real_drawings": score(0.05), "untranslated": score(0.9)}
    scores = {
        "woman": {"lpips": score(0.3 + worse, **about, **marks), "l1": score(0.5)},
        "kid": {
            "lpips": score(0.4 + worse, **about, **marks),
            "l1": {"value": None, "note": "n too small for l1: 1 of 2"},
        },
    }
    mean = {**score(0.35 + worse, **about, real_drawings=None, untranslated=None), "n": 12}
    return {"stage": stage, "step": step, "scores": scores, "overall": {"lpips": mean}}
