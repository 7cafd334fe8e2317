"""The paper's transfer: each new group gets its own copy of the outermost layers and trains that alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from pydantic import Field
from torch import Tensor, nn

from i2i.backbone import Backbone
from i2i.branches import branch, branch_parameters, has_branches, parameters_without
from i2i.discriminator import Discriminator, GroupHead
from i2i.errors import ConfigError
from i2i.generator import Generator
from i2i.transfer import Routes, Transfer, group_mean


class Branch(Transfer):
    """Few-shot samples update their own branch; the base group goes on updating everything that is shared.

    Zhuang & Yang, "Few-shot Knowledge Transfer for Fine-grained Cartoon Face Generation" (arXiv 2007.13332),
    stage 2. Branches start as copies of the base group's, so that right after ``adapt`` every group is translated as
    the base group is.
    """

    name = "branch"
    presets = {"quick": {"branch_lr": 5.0}}  # a few hundred steps hardly move the branches at the paper's rate

    class Config(Transfer.Config):
        """Options of the branch transfer."""

        judge: Literal["classification", "branched"] = Field(
            "branched",
            description="Who tells groups apart: a group head on shared discriminators (as released), "
            "or a discriminator branch a group.",
        )
        cam: Literal["shared", "group"] = Field(
            "shared", description="One class-activation classifier for all groups, or one a group (as released)."
        )
        group_weight: float = Field(1.0, ge=0, description="Weight of group classification, when that judges.")
        branch_lr: float = Field(1.0, gt=0, description="Factor on the learning rate of the new branches.")
        samples: int | None = Field(
            None, ge=1, description="Samples of each group in a step; 2 by default, 1 (the paper's) at batch size 1."
        )

    config: Config

    def __init__(self, config: Config, base: str, groups: Sequence[str]) -> None:
        super().__init__(config, base, groups)
        self.provides = frozenset({"group"} if config.judge == "classification" else ())

    @property
    def objective(self) -> Mapping[str, float | dict[str, Any]]:
        """Group classification, when that judges."""
        return {"group": self.config.group_weight} if self.config.judge == "classification" else {}

    def adapt(self, model: Backbone) -> None:
        """Branch the generators' outermost layers, and let the discriminators know groups."""
        for generator in cast("Iterable[Generator]", model.generators.values()):
            branch(generator, self._points(generator), self.base, self.groups)
        for domain, discriminator in cast("list[tuple[str, Discriminator]]", list(model.discriminators.items())):
            if self.config.judge == "branched":
                branch(discriminator, discriminator.branch_points, self.base, self.groups)
            else:
                model.discriminators[domain] = GroupHead(discriminator, 1 + len(self.groups))

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return base samples, and the samples of all new groups together."""
        samples = self.config.samples or min(2, batch_size)
        return [(self.base,) * samples, self.groups * samples]

    def route(self, networks: nn.Module, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Routes:
        """Send base samples into everything but the new branches, new groups into their own branches only.

        Networks without branches, such as discriminators that all groups share, learn from every sample.
        """
        yield group_mean(losses, groups), self._updated_by(networks, groups)

    def parameter_groups(self, networks: nn.Module, lr: float) -> list[dict[str, Any]]:
        """Give the new branches their own learning rate."""
        shared, own = parameters_without(networks, self.groups), branch_parameters(networks, self.groups)
        groups = [{"params": shared, "lr": lr}, {"params": own, "lr": lr * self.config.branch_lr}]
        return [group for group in groups if group["params"]]

    def _points(self, generator: Generator) -> tuple[str, ...]:
        if self.config.cam == "group" and not generator.cam_points:
            raise ConfigError(
                f"--transfer.cam group needs a class-activation map, and the generator '{generator.name}' has none. "
                "Set --transfer.cam shared."
            )
        return generator.branch_points + (generator.cam_points if self.config.cam == "group" else ())

    def _updated_by(self, networks: nn.Module, groups: tuple[str, ...]) -> Sequence[nn.Parameter]:
        if set(groups) == {self.base}:
            return parameters_without(networks, self.groups)
        return branch_parameters(networks, groups) if has_branches(networks) else list(networks.parameters())
