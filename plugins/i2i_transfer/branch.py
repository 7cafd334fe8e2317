"""The paper's transfer: each new group trains only its own copy of the outermost layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self, cast

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor, nn

from i2i import (
    Backbone,
    ConfigError,
    Discriminator,
    Generator,
    Route,
    Side,
    branch,
    branch_parameters,
    group_mean,
)
from i2i.nn import CamHeads
from i2i_transfer.fewshot import FewShot
from i2i_transfer.judges import Judge, appoint
from i2i_transfer.points import check_branched, chosen_points

Trunk = Literal["base", "all", "frozen"]
"""Whose samples train the layers that groups share."""

HALF = 0.5  # the released second stage halves the CAM term's weight


class Branch(FewShot):
    """Few-shot samples update only their group's branch; the base group keeps updating all shared layers.

    Zhuang & Yang, "Few-shot Knowledge Transfer for Fine-grained Cartoon Face Generation" (arXiv 2007.13332),
    stage 2. Branches start as copies of the base group's, so right after ``adapt`` every group is translated like the
    base group.
    """

    name = "branch"
    presets = {
        # a few hundred steps hardly move the branches at the paper's rate
        "quick": {"branch_lr": 3.0, "cam_groups": "base"},
        "paper": {"judge": "classification", "discriminators": "fresh", "updates": "released"},
    }

    class Config(FewShot.Config):
        """Options of the branch transfer."""

        branch_points: tuple[str, ...] | None = Field(
            None,
            min_length=1,
            description="Modules of the generators that each group has, as paths with commas between them, such as "
            "down.*,style,up.*; by default the outermost layers.",
        )
        judge: Judge = Field(
            "branched",
            description="How discriminators treat groups: a group head on shared ones (as released), a "
            "projection on shared ones, one discriminator branch per group, or two of these.",
        )
        judge_depth: int | None = Field(
            None, ge=1, description="Layers of the discriminators, from the last, that each group has; by default all."
        )
        discriminators: Literal["warm", "fresh"] = Field(
            "warm", description="Start from the base model's discriminators, or from untrained ones (as released)."
        )
        cam: Literal["shared", "group"] = Field(
            "shared", description="One class-activation classifier for all groups, or one per group (as released)."
        )
        cam_groups: Literal["base", "all"] = Field(
            "all", description="Whose CAM term reaches the trunk; all: every group's, at half weight (as released)."
        )
        updates: Literal["merged", "released"] = Field(
            "merged", description="One optimizer step, or the released two: shared layers and branches, then branches."
        )
        trunk: Trunk = Field(
            "base",
            description="Whose samples train the layers that groups share: the base's, everybody's, or nobody's.",
        )
        group_weight: float = Field(1.0, ge=0, description="Weight of group classification, when that judges.")
        branch_lr: float = Field(1.0, gt=0, description="Factor on the transfer's learning rate for new branches.")

        @property
        def provides(self) -> frozenset[str]:
            """The group head, if ``judge`` includes classification."""
            return frozenset({"group"} if "classification" in self.judge else ())

        @property
        def objective(self) -> Mapping[str, float | dict[str, Any]]:
            """Group classification, if ``judge`` includes it."""
            return {"group": self.group_weight} if self.provides else {}

        @model_validator(mode="after")
        def _check_depth(self) -> Self:
            _check_depth(self)
            return self

    config: Config

    def adapt(self, model: Backbone) -> None:
        """Branch the generators' outermost layers, and make the discriminators group-aware."""
        for generator in cast("Iterable[Generator]", model.generators.values()):
            self._reshape(generator)
        for domain, judge in cast("list[tuple[str, Discriminator]]", list(model.discriminators.items())):
            start = judge if self.config.discriminators == "warm" else judge.renewed()
            model.discriminators[domain] = appoint(self.config.judge, start, self.base, self.groups, self._depth)

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return base samples, and the samples of all new groups together."""
        samples = self.samples(batch_size)
        return [(self.base,) * samples, self.groups * samples]

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Update everything except the new branches with base samples, and only their own branches with new groups.

        Two terms differ, as released: group classification trains only branches, including the base group's; with
        ``cam_groups`` set to all, every group's CAM term reaches the trunk. Shared discriminators learn from every
        sample, with equal weight per group. With ``trunk`` set to all, every sample updates all that it passes through,
        with equal weight per group; ``cam_groups`` and ``updates`` then have no effect.
        """
        if self.config.trunk == "all":
            return [Route(group_mean(losses, groups) * self._share(groups), self.parameters(side))]
        route = self._route_judges if side == "discriminator" else self._route_generators
        return route(groups, losses)

    def parameter_groups(self, side: Side, lr: float) -> list[dict[str, Any]]:
        """Give the new branches their own learning rate."""
        shared, branches = self.parameters_without(side, self.groups), self.branch_parameters(side, self.groups)
        groups = [{"params": list(shared), "lr": lr}, {"params": list(branches), "lr": lr * self.config.branch_lr}]
        return [group for group in groups if group["params"]]

    @property
    def _depth(self) -> int | None:
        """Discriminator layers per group; a group head needs all features below the last layer to be shared."""
        return 1 if self.config.judge == "branched+classification" else self.config.judge_depth

    def _reshape(self, generator: Generator) -> None:
        points = self._points(generator)
        branch(generator, points, self.base, self.groups)
        if self.config.branch_points is not None:
            check_branched(generator, points)

    def _points(self, generator: Generator) -> tuple[str, ...]:
        if self.config.cam == "group" and not generator.cam_points:
            raise ConfigError(
                f"--transfer.cam group needs a class-activation map, and the generator '{generator.name}' has none. "
                "Set --transfer.cam shared."
            )
        return chosen_points(generator, self.config.branch_points) + (
            generator.cam_points if self.config.cam == "group" else ()
        )

    def _route_judges(self, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterator[Route]:
        mean = group_mean(losses, groups)
        if self.config.judge != "branched":
            yield Route(mean * self._share(groups), self.parameters("discriminator"))
        elif self._is_base(groups):
            yield Route(mean, self.parameters_without("discriminator", self.groups))
        else:
            yield Route(mean, self.branch_parameters("discriminator", groups))

    def _route_generators(self, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterator[Route]:
        branches = self.branch_parameters("generator", groups)
        weighed = self._weighed(losses, groups)
        common = {name: term for name, term in weighed.items() if self._reaches_trunk(name, groups)}
        rest = {name: term for name, term in weighed.items() if name not in common}
        released = self.config.updates == "released"
        if common:
            loss = group_mean(common, groups)
            yield Route(loss + _nothing(branches) if released else loss, [*self._shared(), *branches])
        if rest:
            trained = self.find(_without_cam, "generator", groups) if "cam" in common else branches
            yield Route(group_mean(rest, groups), trained, update=int(released))

    def _weighed(self, losses: Mapping[str, Tensor], groups: tuple[str, ...]) -> dict[str, Tensor]:
        """Scale the terms that are means over all groups by the share that ``groups`` make up."""
        share = self._share(groups)
        factors = {"group": share, "cam": HALF * share if self.config.cam_groups == "all" else 1.0}
        return {name: term * factors.get(name, 1.0) for name, term in losses.items()}

    def _share(self, groups: tuple[str, ...]) -> float:
        return len(set(groups)) / (1 + len(self.groups))

    def _reaches_trunk(self, term: str, groups: tuple[str, ...]) -> bool:
        return term != "group" if self._is_base(groups) else term == "cam" and self.config.cam_groups == "all"

    def _is_base(self, groups: tuple[str, ...]) -> bool:
        return set(groups) == {self.base}

    def _shared(self) -> Sequence[nn.Parameter]:
        """Return the trainable trunk parameters, and those of heads added by losses."""
        if self.config.trunk != "frozen":
            return self.parameters_without("generator", (self.base, *self.groups))
        networks = self.networks["generator"]
        heads = networks["heads"] if isinstance(networks, nn.ModuleDict) and "heads" in networks else nn.Module()
        return list(heads.parameters())


def _check_depth(config: Branch.Config) -> None:
    if config.judge_depth is None:
        return
    if "branched" not in config.judge:
        raise ConfigError(
            f"--transfer.judge_depth {config.judge_depth} needs discriminators with branches, and --transfer.judge "
            f"{config.judge} has none. Set --transfer.judge branched, or leave the depth out."
        )
    if config.judge == "branched+classification" and config.judge_depth > 1:
        raise ConfigError(
            "--transfer.judge branched+classification classifies groups by features that all groups share, so only the "
            f"last layer can be separate per group, not {config.judge_depth}. Leave out --transfer.judge_depth, or set "
            "--transfer.judge branched."
        )


def _nothing(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Return 0 with zero gradients: as released, momentum and weight decay also move parameters without loss."""
    return cast(Tensor, sum(parameter.sum() for parameter in parameters)) * 0


def _without_cam(networks: nn.Module, groups: Iterable[str]) -> list[nn.Parameter]:
    """Return groups' branches without CAM classifiers: a group's own are trained by the CAM term alone, as released."""
    heads = (module for module in networks.modules() if isinstance(module, CamHeads))
    excluded = {id(parameter) for head in heads for parameter in head.parameters()}
    return [parameter for parameter in branch_parameters(networks, groups) if id(parameter) not in excluded]
