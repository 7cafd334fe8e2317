"""``scores.json``: a model's scores and everything needed to reproduce them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import i2i
from i2i.compute.engine import Engine
from i2i.contracts.metric import Metric
from i2i.contracts.scores import Scores, overall, plain
from i2i.evaluation.scoring import Evaluation
from i2i.models.description import read_model_description
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.storage.caches import digest
from i2i.storage.files import write_text


def score_content(
    file: Path,
    model: Model,
    data: Mapping[str, Any],
    evaluation: Evaluation,
    scores: Scores,
    registry: Registry,
    engine: Engine,
) -> dict[str, Any]:
    """Return scores, their mean over the model's groups, and how they were computed, JSON-serialisable.

    Args:
        file: The model's file.
        model: The model.
        data: The data set's name and options.
        evaluation: The evaluation that scored it.
        scores: The scores.
        registry: The registry of the metrics.
        engine: The device and its settings.
    """
    return {
        "model": _of_model(file, model),
        "data": {**data, "held_out": {group: _of_group(evaluation, group, model.size) for group in evaluation.groups}},
        "size": model.size,
        "seed": model.components.config.seed,
        "metrics": {name: evaluation.options[name].model_dump(mode="json") for name in evaluation.metrics},
        "versions": {
            "i2i": i2i.__version__,
            **{name: registry.provider(Metric, name) for name in evaluation.metrics},
        },
        "machine": engine.describe(),
        "scores": plain(scores),
        **plain({"overall": overall(scores, counted(model, evaluation.groups))}),
    }


def write_scores(content: Mapping[str, Any], path: Path) -> None:
    """Write the content of ``scores.json``, completely or not at all.

    Raises:
        DataError: The file cannot be written.
    """
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n", "Choose another --out.")


def counted(model: Model, groups: Sequence[str]) -> list[str]:
    """Return the groups that the mean covers: the model's, or all if it has none of them."""
    return [group for group in groups if group in model.groups] or list(groups)


def _of_model(file: Path, model: Model) -> dict[str, Any]:
    config, best = model.components.config, read_model_description(file).best
    parts = {part: getattr(config, part)["name"] for part in ("backbone", "generator", "discriminator")}
    transfer = {"transfer": config.transfer["name"]} if model.new_groups else {}
    facts = {"file": str(file), "sha256": digest(file), **parts, **transfer, "groups": list(model.groups)}
    return facts if best is None else {**facts, "best": best.content()}


def _of_group(evaluation: Evaluation, group: str, size: int) -> dict[str, Any]:
    """Return count and hash of each kind of image used to score a group at ``size``."""
    case = evaluation.case(group, size)
    parts = {"sources": case.source, "drawings": case.real, "truths": case.truth}
    return {name: {"n": len(images), "sha256": images.key} for name, images in parts.items() if images is not None}
