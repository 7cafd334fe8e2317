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
    branch_parameters,
    group_mean,
)
from i2i_transfer.fewshot import FewShot
from i2i_transfer.layers import layers


class GeneratorCopies(Branches):
    """One whole generator per group. Attributes, such as ``multiple_of``, are those of the base group's."""

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps that each sample's own encoder has of ``x``, ``(N, 3, H, W)``."""
        return cast("list[Tensor]", self.call("encode", x))

    def from_latent(self, latent: Tensor) -> Tensor:
        """Return the images that each sample's own decoder makes of ``latent``, ``(N, C, h, w)``."""
        return cast(Tensor, self.call("from_latent", latent))

    def after_step(self) -> None:
        """Put the parameters of every copy back into their range after an update."""
        for generator in cast("Mapping[str, Generator]", self.branches).values():
            generator.after_step()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("branches", "base"):  # not there yet, while a copy of this module is made
                raise
            return getattr(self.branches[self.base], name)


class Finetune(FewShot):
    """Train a whole copy of the base model for each new group, on its images alone (baseline 3 of arXiv 2007.13332)."""

    name = "finetune"

    def adapt(self, model: Backbone) -> None:
        """Copy generators and discriminators."""
        copies = {group: copy.deepcopy(model.generators) for group in self.groups} | {self.base: model.generators}
        for direction in list(model.generators):
            own = {group: networks[direction] for group, networks in copies.items()}
            model.generators[direction] = GeneratorCopies(self.base, own)
        for judge in cast("Iterable[Discriminator]", model.discriminators.values()):
            branch(judge, self._points(judge), self.base, self.groups)

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return samples of the new groups together; each passes through its own copy."""
        return [self.groups * self.samples(batch_size)]

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Send each new group's loss into its own copies; the base model stays as it was."""
        yield Route(group_mean(losses, groups), branch_parameters(self.networks[side], groups))

    def _points(self, judge: Discriminator) -> tuple[str, ...]:
        return judge.branch_points


class FreezeD(Finetune):
    """Fine-tune while the discriminators' lower layers stay as they are, for every group the same.

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
