"""The best model of a stage: which metric decides, and the file that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from i2i.config.run import RunConfig
from i2i.contracts.dataset import Dataset
from i2i.contracts.scores import Judgement, Scores, overall
from i2i.errors import ConfigError
from i2i.evaluation.scoring import Evaluation
from i2i.models.checkpoint import describe
from i2i.models.description import BestScore
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.storage.tensor_file import read_description, write

DECIDERS = ("lpips", "kernel", "l1")
"""Where a run names none, the first of these that can score all groups decides, and after them any other metric.

LPIPS to the true drawing compares image by image, so that it is steady with the few images that a group has held out.
Without true drawings, the kernel distance is that of the distances between sets whose expected value does not depend on
the number of images. L1 needs no network, and rewards blur.
"""


class Best:
    """Keeps the best model of a stage in a file, whose description tells its step and score.

    Args:
        path: The file; what it says of the same stage and metric is known already, so that a resumed run goes on.
        stage: The stage.
        metric: The metric that decides, by its mean over groups.
        groups: The groups that it can score.

    Attributes:
        value: The best score so far; None where there is none.
    """

    def __init__(self, path: Path, stage: str, metric: str, groups: Sequence[str]) -> None:
        self.path, self.stage, self.metric, self.groups = path, stage, metric, tuple(groups)
        before = _kept(path)
        same = before is not None and (before.stage, before.metric) == (stage, metric)
        self.value: float | None = before.value if before is not None and same else None

    def offer(self, model: Model, step: int, scores: Scores) -> bool:
        """Keep a model if it is better, and say whether it was; one that lacks a group's score never is."""
        judgement = self._mean(scores)
        if judgement is None or judgement.value is None or not judgement.beats(self.value):
            return False
        self.value = judgement.value
        best = BestScore(
            stage=self.stage,
            step=step,
            metric=self.metric,
            value=self.value,
            higher_is_better=bool(judgement.higher_is_better),
            groups=self.groups,
        )
        description = describe(model).model_copy(update={"best": best})
        write(self.path, dict(model.backbone.state_dict()), description.content())
        return True

    def _mean(self, scores: Scores) -> Judgement | None:
        own = [scores.get(group, {}).get(self.metric) for group in self.groups]
        complete = all(judgement is not None and judgement.value is not None for judgement in own)
        return overall(scores, self.groups).get(self.metric) if complete else None


def _kept(path: Path) -> BestScore | None:
    """Return what the file of the best model says of it; None where there is none yet."""
    content = read_description(path).get("best") if path.exists() else None
    return None if content is None else BestScore.of(content, path)


def decider(
    evaluation: Evaluation, groups: Sequence[str], size: int, device: torch.device, named: str | None = None
) -> tuple[str, list[str]]:
    """Choose the metric that decides which model is the best.

    Args:
        evaluation: What can be scored.
        groups: The groups that the model serves.
        size: Side of the images in pixels.
        device: Where to compute.
        named: The user's choice.

    Returns:
        The metric that can score the most of the groups, among equals the first of ``DECIDERS``; and those groups.

    Raises:
        ConfigError: None can score a group.
    """
    known = sorted(evaluation.metrics, key=lambda name: DECIDERS.index(name) if name in DECIDERS else len(DECIDERS))
    candidates = known if named is None else [named]
    found = {name: _why_not(evaluation, name, groups, size, device) for name in candidates}
    best = max(found, key=lambda name: sum(not obstacle for obstacle in found[name].values()))
    able = [group for group, obstacle in found[best].items() if not obstacle]
    if not able:
        raise ConfigError(_undecided(found, named))
    return best, able


def check_evaluation(config: RunConfig, dataset: Dataset, registry: Registry, device: torch.device) -> None:
    """Refuse an evaluation that could not be done, before anything is trained.

    Raises:
        ConfigError: No metric could decide which model is the best, or one is named and none is kept.
        WeightsError: The weights of a metric that is named are nowhere to be found.
    """
    asked = config.evaluate
    if asked.best is not None and not asked.every:
        raise ConfigError(
            f"--evaluate.best {asked.best} keeps the best model of several: say how often to look, such as "
            "--evaluate.every 100."
        )
    evaluation = Evaluation(dataset, registry, asked.metrics, config.metric)
    evaluation.load(device)
    if asked.every and not evaluation.groups:
        raise ConfigError(
            f"--evaluate.every {asked.every} needs held-out images, and the data has none. Add some (testA beside "
            "trainA in a folder), or leave it out."
        )
    for stage in config.stages if asked.every else ():
        groups = [dataset.base] if stage == "base" else dataset.groups
        decider(evaluation, groups, config.size, device, asked.best)


def _why_not(
    evaluation: Evaluation, name: str, groups: Sequence[str], size: int, device: torch.device
) -> dict[str, str]:
    if name not in evaluation.metrics:
        return dict.fromkeys(groups, f"{name} is not among the metrics: {', '.join(evaluation.metrics)}")
    return {group: evaluation.obstacle(name, group, size, device) for group in groups}


def _undecided(found: dict[str, dict[str, str]], named: str | None) -> str:
    reasons = "; ".join(dict.fromkeys(obstacle.rstrip(".") for own in found.values() for obstacle in own.values()))
    if named is not None:
        return f"--evaluate.best {named} cannot tell which model is the best: {reasons}. Name another, or leave it out."
    return (
        f"No metric can tell which model is the best: {reasons}. Name another with --evaluate.best, or leave out "
        "--evaluate.every."
    )
