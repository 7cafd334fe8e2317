"""The transfer contract: adapting a trained base model to more groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor, nn

from i2i.config.options import Options
from i2i.config.run import LEAST_MARGIN, MOST_MARGIN
from i2i.contracts.backbone import Backbone, Side
from i2i.contracts.branches import branch_parameters, parameters_without
from i2i.errors import ConfigError


class Route(NamedTuple):
    """A loss, the parameters to update with it, and the optimizer step to do it in.

    Attributes:
        loss: A scalar.
        parameters: The parameters that receive its gradient; all other gradients stay as they are, even if None.
        update: Number of the optimizer step. Gradients are all computed at the same weights; then the steps run in
            order, each on the parameters that its losses reached.
    """

    loss: Tensor
    parameters: Sequence[nn.Parameter]
    update: int = 0


class Transfer(ABC):
    """A strategy that adapts a base model to more groups by answering three questions.

    ``adapt``: how is the model reshaped? ``draw``: which groups make up a step? ``route``: which parameters may
    the losses of a sub-batch update?

    Example:
        A whole strategy, which trains one model on the new groups together::

            class Together(Transfer):
                name = "together"

                def adapt(self, model):
                    pass

                def draw(self, batch_size, rng):
                    return [self.groups]

                def route(self, side, groups, losses):
                    yield Route(group_mean(losses, groups), self.parameters(side))

    Args:
        config: The options.
        base: The data-rich group.
        groups: The new groups.

    Attributes:
        name: The name in the registry.
        trains: False if the second stage takes no steps.
        from_scratch: True if the second stage starts from fresh weights, and so takes the steps of both stages.
        presets: Preset name to options.
        networks: The networks of each side: generators with the networks that losses add, and discriminators; set by
            `prepare`.
    """

    name: ClassVar[str]
    trains: ClassVar[bool] = True
    from_scratch: ClassVar[bool] = False
    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    class Config(Options):
        """Options of every transfer; they also determine its passes and added losses."""

        lr: float = Field(default=1.0, gt=0, description="Factor on the learning rate of the base stage.")
        crop_margin: float | None = Field(
            default=None,
            ge=LEAST_MARGIN,
            le=MOST_MARGIN,
            description="How images are cropped in the transfer; by default as --crop-margin says.",
        )
        loss: dict[str, Annotated[float, Field(ge=0)]] = Field(
            default={},
            description="Weights that terms have in the transfer instead of those of --loss, by name.",
        )

        @property
        def provides(self) -> frozenset[str]:
            """Passes that the strategy adds: ``"group"`` with a group head."""
            return frozenset()

        @property
        def objective(self) -> Mapping[str, float | dict[str, Any]]:
            """Loss terms that the strategy adds to the backbone's, by name: weight or options."""
            return {}

    def __init__(self, config: Config, base: str, groups: Sequence[str]) -> None:
        self.config = config
        self.base = base
        self.groups = tuple(groups)
        self.networks: Mapping[Side, nn.Module] = {}
        self._found: dict[tuple[Any, ...], Sequence[nn.Parameter]] = {}

    @abstractmethod
    def adapt(self, model: Backbone) -> None:
        """Add branches, heads or adapters to the model. Called once, before optimizers are built.

        A model that is loaded to translate has no discriminators: ``model.discriminators`` is empty.
        """

    def prepare(self, networks: Mapping[Side, nn.Module]) -> None:
        """Store the networks to train. Called once, after ``adapt`` and before ``parameter_groups``.

        From then on networks keep their parameters: `parameters` and the like look for them once, not in every step.
        """
        self.networks = networks
        self._found.clear()

    def parameters(self, side: Side) -> Sequence[nn.Parameter]:
        """Return all parameters of a side."""
        return self.find(nn.Module.parameters, side)

    def branch_parameters(self, side: Side, groups: Iterable[str]) -> Sequence[nn.Parameter]:
        """Return the parameters of these groups' branches."""
        return self.find(branch_parameters, side, groups)

    def parameters_without(self, side: Side, groups: Iterable[str]) -> Sequence[nn.Parameter]:
        """Return all parameters except those of these groups' branches."""
        return self.find(parameters_without, side, groups)

    def find(
        self, search: Callable[..., Iterable[nn.Parameter]], side: Side, *groups: Iterable[str]
    ) -> Sequence[nn.Parameter]:
        """Return what ``search(networks, *groups)`` finds in the networks of a side, searching them once."""
        sets = tuple(map(frozenset, groups))
        key = search, side, sets
        if key not in self._found:
            self._found[key] = tuple(search(self.networks[side], *sets))
        return self._found[key]

    @abstractmethod
    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return the sub-batches of one step, each as the group of every sample."""

    @abstractmethod
    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Yield routes for the losses of one sub-batch on one side.

        Args:
            side: The side of the losses; its parameters are in ``networks[side]``.
            groups: The group of every sample.
            losses: Weighted losses by term, each ``(N,)``.
        """

    def parameter_groups(self, side: Side, lr: float) -> list[dict[str, Any]]:
        """Return the parameter groups of a side's optimizer, each with its own ``lr``; that of the stage is given."""
        return [{"params": list(self.parameters(side)), "lr": lr}]


class NoTransfer(Transfer):
    """Train the base group alone; its model serves every group (the paper's basic model)."""

    name = "none"
    trains = False

    class Config(Transfer.Config):
        """Options of a transfer without steps."""

        @model_validator(mode="after")
        def _check_steps(self) -> Self:
            useless = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
            if useless:
                options = " and ".join(f"--transfer.{name}" for name in useless)
                effect, them = ("have", "them") if len(useless) > 1 else ("has", "it")
                raise ConfigError(
                    f"--transfer none takes no steps, so that {options} {effect} no effect. Leave {them} out."
                )
            return self

    def adapt(self, model: Backbone) -> None:
        """Leave the model as it is."""

    def draw(self, batch_size: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
        """Return base samples."""
        return [(self.base,) * batch_size]

    def route(self, side: Side, groups: tuple[str, ...], losses: Mapping[str, Tensor]) -> Iterable[Route]:
        """Route the loss to all parameters."""
        yield Route(group_mean(losses, groups), self.parameters(side))


def group_mean(losses: Mapping[str, Tensor], groups: tuple[str, ...]) -> Tensor:
    """Sum the terms, average the samples of each group, then average the groups, weighting each equally."""
    total = sum(losses.values(), start=next(iter(losses.values())).new_zeros(()))
    share = [1.0 / (groups.count(group) * len(set(groups))) for group in groups]
    return (total * total.new_tensor(share)).sum()
