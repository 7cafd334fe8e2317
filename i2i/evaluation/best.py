"""The best model of a stage: choosing the metric that decides, and saving the model."""

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
"""Metrics preferred for deciding which model is best, unless the user names one.

LPIPS to the true drawing compares image by image, so it is stable with few held-out images. Without true drawings, the
kernel distance is the only set distance whose expected value does not depend on the number of images. L1 needs no
network, but rewards blur.
"""


class Best:
    """The best model of a stage, saved in a file with its step and score in the metadata.

    Args:
        path: The file; if it exists with the same stage and metric (a resumed run), its score must be beaten.
        stage: The stage.
        metric: The metric that decides, by its mean over groups.
        groups: The groups it can score.

    Attributes:
        value: The best score so far; None if there is none.
    """

    def __init__(self, path: Path, stage: str, metric: str, groups: Sequence[str]) -> None:
        self.path, self.stage, self.metric, self.groups = path, stage, metric, tuple(groups)
        before = _kept(path)
        same = before is not None and (before.stage, before.metric) == (stage, metric)
        self.value: float | None = before.value if before is not None and same else None

    def offer(self, model: Model, step: int, scores: Scores) -> bool:
        """Save a model if it is better, and return whether it is; it needs a score for every group."""
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
        judgements = [scores.get(group, {}).get(self.metric) for group in self.groups]
        complete = all(judgement is not None and judgement.value is not None for judgement in judgements)
        return overall(scores, self.groups).get(self.metric) if complete else None


def _kept(path: Path) -> BestScore | None:
    """Return the score saved with the best model; None if there is no file yet."""
    content = read_description(path).get("best") if path.exists() else None
    return None if content is None else BestScore.of(content, path)


def decider(
    evaluation: Evaluation, groups: Sequence[str], size: int, device: torch.device, named: str | None = None
) -> tuple[str, list[str]]:
    """Choose the metric that decides which model is best.

    Args:
        evaluation: The metrics and data.
        groups: The model's groups.
        size: Side of the images in pixels.
        device: The device.
        named: The user's choice, if any.

    Returns:
        The metric that can score the most groups, preferring the order of ``DECIDERS``, and those groups.

    Raises:
        ConfigError: No metric can score any group.
    """
    known = sorted(evaluation.metrics, key=lambda name: DECIDERS.index(name) if name in DECIDERS else len(DECIDERS))
    candidates = known if named is None else [named]
    obstacles = {name: _obstacles(evaluation, name, groups, size, device) for name in candidates}
    best = max(candidates, key=lambda name: sum(not obstacle for obstacle in obstacles[name].values()))
    able = [group for group, obstacle in obstacles[best].items() if not obstacle]
    if not able:
        raise ConfigError(_undecided(obstacles, named))
    return best, able


def check_evaluation(config: RunConfig, dataset: Dataset, registry: Registry, device: torch.device) -> None:
    """Refuse an evaluation that cannot work, before training starts.

    Raises:
        ConfigError: No metric can decide which model is best, there are no held-out images, or ``best`` is set
            without ``every``.
        WeightsError: The weights of a named metric are not on this machine.
    """
    options = config.evaluate
    if options.best is not None and not options.every:
        raise ConfigError(
            f"--evaluate.best {options.best} chooses between several evaluations. Add how often to evaluate, for "
            "example --evaluate.every 100."
        )
    evaluation = Evaluation(dataset, registry, options.metrics, config.metric)
    evaluation.load(device)
    if options.every and not evaluation.groups:
        raise ConfigError(
            f"--evaluate.every {options.every} needs held-out images, and the data has none. Add some (testA next to "
            "trainA in a folder), or drop the option."
        )
    for stage in config.stages if options.every else ():
        groups = [dataset.base] if stage == "base" else dataset.groups
        decider(evaluation, groups, config.size, device, options.best)


def _obstacles(
    evaluation: Evaluation, name: str, groups: Sequence[str], size: int, device: torch.device
) -> dict[str, str]:
    if name not in evaluation.metrics:
        return dict.fromkeys(groups, f"{name} is not one of the metrics ({', '.join(evaluation.metrics)})")
    return {group: evaluation.obstacle(name, group, size, device) for group in groups}


def _undecided(obstacles: dict[str, dict[str, str]], named: str | None) -> str:
    texts = (text.rstrip(".") for by_group in obstacles.values() for text in by_group.values())
    reasons = "; ".join(dict.fromkeys(texts))
    if named is not None:
        return f"--evaluate.best {named} cannot compare models: {reasons}. Name another metric, or drop the option."
    return f"No metric can compare models: {reasons}. Name another with --evaluate.best, or drop --evaluate.every."
