"""Scoring translations of held-out images, next to real drawings and untranslated sources."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from i2i.config.options import validate
from i2i.contracts.dataset import Dataset
from i2i.contracts.metric import Case, Images, Metric, Score
from i2i.contracts.scores import Judgement, name_of_part
from i2i.contracts.scores import Scores as Scores
from i2i.contracts.scores import plain as plain
from i2i.contracts.translator import Translator
from i2i.errors import WeightsError
from i2i.evaluation.heldout import files, served, undisturbed, unnoticed
from i2i.images.grids import spread
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.events import blaming
from i2i.registry.registry import Registry

_ByName = Mapping[str, Score | None]
"""The scores of a metric and of its parts."""


def evaluate(
    model: Translator,
    dataset: Dataset,
    registry: Registry,
    metrics: Sequence[str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Scores:
    """Score translations of every group's held-out sources; groups the model lacks are translated as its base.

    To score several models on the same data, use one `Evaluation`.

    Args:
        model: The model; its mode and all random generators are restored afterwards.
        dataset: The data.
        registry: The registry of the metrics.
        metrics: Names of metrics; by default all, with a note in place of scores that cannot be computed.
        options: Options by metric name.

    Returns:
        Judgements by group and metric; groups without held-out sources are left out.

    Raises:
        UnknownComponentError: A metric does not exist.
        ConfigError: An option is unknown or invalid.
        WeightsError: The weights of a metric in ``metrics`` are not on this machine.
        PluginError: A metric failed; the message names its plugin.
    """
    return Evaluation(dataset, registry, metrics, options).scores(model)


class Evaluation:
    """Scores models on the held-out images of a data set.

    Anything independent of the model, such as the scores of real drawings and untranslated sources, is computed once
    per image size.

    Args:
        dataset: The data.
        registry: The registry of the metrics.
        metrics: Names of metrics; by default all, with a note in place of scores that cannot be computed.
        options: Options by metric name.

    Attributes:
        metrics: The names of the metrics.
        options: The validated options by metric name.
        groups: The groups with held-out sources.

    Raises:
        UnknownComponentError: A metric does not exist.
        ConfigError: An option is unknown or invalid.
    """

    def __init__(
        self,
        dataset: Dataset,
        registry: Registry,
        metrics: Sequence[str] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.metrics = tuple(_by_default(registry) if metrics is None else metrics)
        self._dataset, self._registry, self._named = dataset, registry, metrics is not None
        self._pretrained = PretrainedNetworks(registry)
        self._chosen = [name for name in self.metrics if self._named or name in (options or {})]
        self.groups = tuple(group for group in dataset.groups if self._sources(group))
        self._classes = {name: registry.get(Metric, name) for name in (*self.metrics, *(options or {}))}
        self.options = {
            name: validate(metric.Config, (options or {}).get(name, {}), f"metric '{name}'")
            for name, metric in self._classes.items()
        }
        self._metric, self._untranslated, self._marks = cache(self._build), cache(self._gather), cache(self._mark)
        self._drawings = cache(self._drawn)

    def scores(self, model: Translator, groups: Collection[str] | None = None, through: str | None = None) -> Scores:
        """Score translations of every group's held-out sources; groups the model lacks are translated as its base.

        Args:
            model: The model; its mode and all random generators are restored afterwards.
            groups: The groups to score; by default all.
            through: Translate every group as this one, to measure the effect of its branch.

        Raises:
            WeightsError: The weights of a named metric are not on this machine.
            PluginError: A metric failed; the message names its plugin.
        """
        with undisturbed(model.backbone):
            wanted = [group for group in self.groups if groups is None or group in groups]
            return {group: self._judge(model, group, through or served(model, group)) for group in wanted}

    def load(self, device: torch.device) -> None:
        """Construct the metrics that are named or have options, so that they fail before scoring starts.

        Raises:
            ConfigError: A metric cannot be computed as configured.
            WeightsError: The weights of a named metric are not on this machine.
        """
        for name in self._chosen:
            try:
                self._metric(name, device)
            except WeightsError:
                if self._named:
                    raise

    def case(self, group: str, size: int) -> Case:
        """Return the images a group is scored on, with sources in place of translations."""
        return self._untranslated(group, size)

    def obstacle(self, name: str, group: str, size: int, device: torch.device) -> str:
        """Return the reason a metric cannot score a group at an image size; empty if it can.

        Raises:
            WeightsError: The weights of a named metric are not on this machine.
        """
        if group not in self.groups:
            return f"'{group}' has no held-out images"
        case = self._untranslated(group, size)
        try:
            return _lacking(self._classes[name], case) or self._metric(name, device).obstacle(case)
        except WeightsError as error:
            if self._named:
                raise
            return str(error)

    def _judge(self, model: Translator, group: str, through: str | None) -> dict[str, Judgement]:
        notes = {name: self.obstacle(name, group, model.size, model.device) for name in self.metrics}
        case = self._untranslated(group, model.size)
        if not all(notes.values()):
            fakes = [model.translate(chunk, through) for chunk in case.source]
            case = replace(case, fake=Images(lambda: iter(fakes), case.source.names))
        judged: dict[str, Judgement] = {}
        for name, note in notes.items():
            judged |= {name: Judgement(note=note)} if note else self._judgements(name, case, model)
        return judged

    def _judgements(self, name: str, case: Case, model: Translator) -> dict[str, Judgement]:
        """Return the judgement of a metric, then those of its parts, as ``metric.part``."""
        metric = self._metric(name, model.device)
        scores = self._scores(metric, case)
        real, untranslated = self._marks(name, case.group, model.size, model.device)
        return {
            own: _judgement(own, score, metric, (real.get(own), untranslated.get(own)), case.fake)
            for own, score in scores.items()
        }

    def _mark(self, name: str, group: str, size: int, device: torch.device) -> tuple[_ByName, _ByName]:
        """Return the scores of real drawings, empty if they have none, and of untranslated sources."""
        metric, untranslated = self._metric(name, device), self._untranslated(group, size)
        real = self._real(metric, untranslated, size)
        enough = real is not None and not _lacking(metric, real)
        return self._scores(metric, real) if real is not None and enough else {}, self._scores(metric, untranslated)

    def _real(self, metric: Metric, case: Case, size: int) -> Case | None:
        """Replace translations by real drawings, at most as many; None if a paired metric has no truths."""
        if metric.paired or metric.to_source:
            return None if case.truth is None else replace(case, fake=case.truth)
        drawings = self._files(spread(self._dataset.train(case.group, "b"), len(case.fake)), size)
        return replace(case, fake=drawings, source=drawings)

    def _scores(self, metric: Metric, case: Case) -> _ByName:
        """Return the score of a metric, then those of its parts, by name; None if one is NaN or infinite."""
        with blaming(self._registry, Metric, metric.name):
            whole, parts = metric.score(case), metric.parts(case)
            scores = {metric.name: whole, **{name_of_part(metric.name, part): score for part, score in parts.items()}}
            for score in scores.values():
                if not isinstance(score, Score):
                    raise TypeError(f"it returned {type(score).__name__}, not a Score")
            return {name: score if _is_finite(score) else None for name, score in scores.items()}

    def _build(self, name: str, device: torch.device) -> Metric:
        with unnoticed(), blaming(self._registry, Metric, name):  # networks draw random weights before loading theirs
            metric = self._classes[name](self.options[name])
            metric.prepare(self._pretrained, device)
            return metric

    def _gather(self, group: str, size: int) -> Case:
        """Gather the images a group is scored on, with sources in place of translations."""
        data, pairs = self._dataset, self._dataset.pairs(group) or ()
        sources = self._files(self._sources(group), size)
        return Case(
            group,
            sources,
            sources,
            self._files(data.test(group, "b"), size),
            self._files([truth for _, truth in pairs], size) if pairs else None,
            {name: self._drawings(name, size) for name in data.groups},
        )

    def _drawn(self, group: str, size: int) -> Images:
        return self._files([*self._dataset.train(group, "b"), *self._dataset.test(group, "b")], size)

    def _files(self, paths: Sequence[Path], size: int) -> Images:
        return files(paths, size, self._dataset.design, self._dataset.attributes)

    def _sources(self, group: str) -> Sequence[Path]:
        """Return the sources of a group's held-out pairs, or without pairs its held-out sources."""
        return [source for source, _ in self._dataset.pairs(group) or ()] or self._dataset.test(group, "a")


def _by_default(registry: Registry) -> list[str]:
    return [name for name in registry.names(Metric) if registry.get(Metric, name).by_default]


def _judgement(
    name: str, score: Score | None, metric: Metric, marks: tuple[Score | None, Score | None], fake: Images
) -> Judgement:
    context = metric.network, metric.resize, _split(metric), metric.higher_is_better, *marks
    if score is None:
        return Judgement(None, None, None, len(fake), *context, f"{name} is NaN or infinite")
    return Judgement(score.value, score.low, score.high, score.n, *context, _variants(fake))


def _is_finite(score: Score) -> bool:
    return all(map(math.isfinite, (score.value, score.low, score.high)))


def _lacking(metric: type[Metric] | Metric, case: Case) -> str:
    if metric.paired and case.truth is None:
        return f"{metric.name} needs true translations, and the data has none"
    if len(case.fake) < metric.fewest:
        return f"n too small for {metric.name}: {len(case.fake)} of {metric.fewest}"
    if len(case.real) < metric.fewest_real:
        return f"too few held-out drawings for {metric.name}: {len(case.real)} of {metric.fewest_real}"
    return ""


def _variants(images: Images) -> str:
    """Return a note with the number of designs (the unit of intervals) if images share designs; else empty."""
    count = len(set(images.names))
    return f"of {count} {'design' if count == 1 else 'designs'}" if count < len(images) else ""


def _split(metric: Metric) -> str:
    if metric.paired:
        return "held-out pairs"
    return "held-out sources" + (" against held-out drawings" if metric.fewest_real else "")
