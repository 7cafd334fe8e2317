"""Fine-tuning: one copy of the base model per group; with FreezeD the discriminators' lower layers stay frozen."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
from pydantic import Field
from torch import Tensor

from i2i import (
    Backbone,
    Branches,
    ConfigError,
    Discriminator,
    Generator,
    Route,
    Side,
    branch,
    group_mean,
)
from i2i_transfer.fewshot import FewShot
from i2i_transfer.layers import layers


class GeneratorCopies(Branches):
    """One whole generator per group; attributes such as ``multiple_of`` come from the base group's."""

    def encode(self, x: Tensor) -> list[Tensor]:
        """Encode each sample of ``x``, ``(N, 3, H, W)``, with its group's encoder."""
        return cast("list[Tensor]", self.call("encode", x))

    def from_latent(self, latent: Tensor) -> Tensor:
        """Decode each sample of ``latent``, ``(N, C, h, w)``, with its group's decoder."""
        return cast(Tensor, self.call("from_latent", latent))

    def after_step(self) -> None:
        """Clip the parameters of every copy to their range after an update."""
        for generator in cast("Mapping[str, Generator]", self.branches).values():
            generator.after_step()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("branches", "base"):  # not set yet while this module is being copied
                raise
            return getattr(self.branches[self.base], name)


class Finetune(FewShot):
    """Train a full copy of the base model for each new group, only on its images (baseline 3 of arXiv 2007.13332)."""

    name = "finetune"

    def adapt(self, model: Backbone) -> None:
        """Copy generators and discriminators."""
        copies = {group: copy.deepcopy(model.generators) for group in self.groups} | {self.base: model.generators}
        for direction in list(model.generators):
            generators = {group: networks[direction] for group, networks in copies.items()}
            model.generators[direction] = GeneratorCopies(self.base, generators)
        for judge in cast("Iterable[Discriminator]", model.discriminators.values()):
            branch(judge, self._points(judge), self.base, self.groups)

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return samples of all new groups together; each passes through its group's copy."""
        return [self.groups * self.samples(batch_size)]

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Update each new group's copies with its loss; the base model does not change."""
        yield Route(group_mean(losses, groups), self.branch_parameters(side, groups))

    def _points(self, judge: Discriminator) -> tuple[str, ...]:
        return judge.branch_points


class FreezeD(Finetune):
    """Fine-tune with the discriminators' lower layers frozen and shared by all groups.

    Mo, Cho & Shin 2020, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs" (arXiv 2002.10964).
    """

    name = "freeze-d"

    class Config(FewShot.Config):
        """Options of FreezeD."""

        frozen_layers: int | None = Field(
            None, ge=1, description="Layers of each discriminator that are frozen, from the image on; by default half."
        )

    config: Config

    def _points(self, judge: Discriminator) -> tuple[str, ...]:
        count, parts = self.config.frozen_layers, layers(judge)
        fewest = min(map(len, parts))
        if count is not None and count >= fewest:
            raise ConfigError(
                f"The discriminator '{judge.name}' has {fewest} layers, so that freezing {count} leaves none to train. "
                f"Set --transfer.frozen_layers below {fewest}."
            )
        return tuple(path for part in parts for path in part[len(part) // 2 if count is None else count :])
