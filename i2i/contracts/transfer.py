"""The transfer contract: how a trained base model is carried over to further groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch import Tensor, nn

from i2i.config.options import Options
from i2i.contracts.backbone import Backbone


class Route(NamedTuple):
    """A loss, the parameters that it may update, and the optimizer step of its side that does so.

    Attributes:
        loss: A scalar.
        parameters: What its gradient reaches; all others keep theirs, None or not.
        update: The gradients of all updates are taken at the same weights; then each number is one optimizer step, in
            order, of the parameters that some loss of that number reached.
    """

    loss: Tensor
    parameters: Sequence[nn.Parameter]
    update: int = 0


Routes = Iterable[Route | tuple[Tensor, Sequence[nn.Parameter]]]


class Transfer(ABC):
    """A strategy that carries a base model over to further groups, by answering three questions.

    ``adapt``: how is the model reshaped? ``draw``: which groups make up a step? ``route``: which parameters may
    the losses of a sub-batch update?

    Args:
        config: The options.
        base: The data-rich group.
        groups: The new groups.

    Attributes:
        name: The name in the registry.
        trains: False when the second stage takes no step at all.
        from_scratch: True when the second stage starts from fresh weights, and so takes the steps of both stages.
        provides: What it adds to verdicts: ``"group"`` with a group head.
        presets: Preset name to options that suit it.
    """

    name: ClassVar[str]
    trains: ClassVar[bool] = True
    from_scratch: ClassVar[bool] = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    provides: frozenset[str] = frozenset()

    class Config(Options):
        """Options of every transfer."""

    def __init__(self, config: Config, base: str, groups: Sequence[str]) -> None:
        self.config = config
        self.base = base
        self.groups = tuple(groups)

    @property
    def objective(self) -> Mapping[str, float | dict[str, Any]]:
        """Loss terms that the strategy adds to the backbone's: name to weight or options."""
        return {}

    @abstractmethod
    def adapt(self, model: Backbone) -> None:
        """Reshape the model: add branches, heads, adapters. Called once, before optimizers are built."""

    @abstractmethod
    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return the sub-batches of one step, each as the group of every sample."""

    @abstractmethod
    def route(self, networks: nn.Module, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Routes:
        """Yield a `Route`, or a plain (scalar loss, parameters that it may update), for one sub-batch on one side.

        Args:
            networks: The generators or the discriminators.
            groups: The group of every sample.
            losses: Weighted losses by term, each ``(N,)``.
        """

    def parameter_groups(self, networks: nn.Module, lr: float) -> list[dict[str, Any]]:
        """Return the optimizer's parameter groups, each with its own ``lr``."""
        return [{"params": list(networks.parameters()), "lr": lr}]


class NoTransfer(Transfer):
    """Train the base group alone; its model serves every group (the paper's basic model)."""

    name = "none"
    trains = False

    def adapt(self, model: Backbone) -> None:
        """Leave the model as it is."""

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return base samples."""
        return [(self.base,) * batch_size]

    def route(self, networks: nn.Module, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Routes:
        """Send the loss into everything."""
        yield group_mean(losses, groups), list(networks.parameters())


def group_mean(losses: Mapping[str, Tensor], groups: tuple[str, ...]) -> Tensor:
    """Add the terms up, average each group's samples, and average the groups, so that each counts alike."""
    total = sum(losses.values(), start=next(iter(losses.values())).new_zeros(()))
    share = [1.0 / (groups.count(group) * len(set(groups))) for group in groups]
    return (total * total.new_tensor(share)).sum()
