"""The kinds of component that plugins register, and their checks."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from i2i.config.options import Options
from i2i.errors import PluginError, did_you_mean

PASSES = frozenset(
    {"fake", "identity", "cycled", "reconstructed", "verdict", "gradient", "cam", "latent", "encoded", "group"}
)
"""All passes that a loss may need; see `i2i.Loss`."""
BY_GENERATORS, BY_BACKBONES, BY_TRANSFERS = ({"cam", "latent", "encoded"}, {"reconstructed"}, {"group"})
"""The passes that only some components of a kind provide."""


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of component.

    Attributes:
        name: Its name in tables and options.
        hook: The hook that registers it.
        module: The module of `i2i.contracts` that defines its contract.
        contract: The class that components subclass, or are instances of.
        title: Its name in messages.
        instances: Whether the hook returns instances instead of classes.
        passes: Class attributes that list passes, each with its allowed names.
    """

    name: str
    hook: str
    module: str
    contract: str
    title: str
    instances: bool = False
    passes: Mapping[str, Iterable[str]] = field(default_factory=dict)

    def check(self, returned: Any) -> list[Any]:
        """Return a hook's result as a list, after checking it.

        Raises:
            PluginError: It is not a list of components of this kind, or a component is declared incorrectly.
        """
        if not isinstance(returned, Iterable):
            what = "instances" if self.instances else "classes"
            raise PluginError(f"{self.hook} returned {returned!r}. Return a list of {what}.")
        components = list(returned)
        for component in components:
            self._check_one(component)
        return components

    def _check_one(self, component: Any) -> None:
        contract = self._contract()
        if not (isinstance(component, contract) if self.instances else _derives(component, contract)):
            what = "an instance" if self.instances else "a subclass"
            raise PluginError(f"{self.hook} returned {component!r}, which is not {what} of i2i.{self.contract}.")
        if not isinstance(getattr(component, "name", None), str):
            raise PluginError(f'{self.hook} returned {component.__name__}, which has no name. Set name = "...".')
        self._check_name(component.name)
        self._check_options(component)
        for attribute, allowed in self.passes.items():
            self._check_passes(component, attribute, set(allowed))

    def _check_name(self, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*", name):
            raise PluginError(
                f"{self.hook} returned a {self.title} called {name!r}, which cannot be part of an option. Use letters "
                "and digits, with single '-' and '_' between them."
            )

    def _check_options(self, component: Any) -> None:
        """Refuse a ``Config`` that options cannot be built from, or that lacks those of the contract."""
        wanted = getattr(self._contract(), "Config", None)
        if wanted is None:
            return
        config = component.Config
        if not _derives(config, Options):
            raise PluginError(
                f"The Config of the {self.title} '{component.name}' is {config!r}, which is no class of options. "
                f"Derive it from i2i.{self.contract}.Config."
            )
        lacking = wanted.model_fields.keys() - config.model_fields.keys()
        if lacking:
            raise PluginError(
                f"The Config of the {self.title} '{component.name}' lacks {min(lacking)!r}. Derive it from "
                f"i2i.{self.contract}.Config."
            )

    def _check_passes(self, component: Any, attribute: str, allowed: set[str]) -> None:
        declared: Any = getattr(component, attribute, frozenset())
        if not isinstance(declared, frozenset | set):
            return  # a property, known only for an instance
        unknown = sorted(declared - allowed)
        if unknown:
            raise PluginError(
                f"The {self.title} '{component.name}' lists '{unknown[0]}' in {attribute}."
                f"{did_you_mean(unknown[0], allowed)} Known: {', '.join(sorted(allowed))}."
            )

    def _contract(self) -> type[Any]:
        contract: type[Any] = getattr(importlib.import_module(f"i2i.contracts.{self.module}"), self.contract)
        return contract


def _derives(component: Any, contract: type[Any]) -> bool:
    return isinstance(component, type) and issubclass(component, contract)


KINDS = (
    Kind(
        *("backbone", "register_backbones", "backbone", "Backbone", "backbone"),
        passes={"provides": BY_BACKBONES, "requires": BY_GENERATORS},
    ),
    Kind(
        *("generator", "register_generators", "generator", "Generator", "generator"),
        passes={"provides": BY_GENERATORS},
    ),
    Kind("discriminator", "register_discriminators", "discriminator", "Discriminator", "discriminator"),
    Kind("loss", "register_losses", "loss", "Loss", "loss", passes={"needs": PASSES}),
    Kind(
        *("transfer", "register_transfers", "transfer", "Transfer", "transfer"),
        passes={"provides": BY_TRANSFERS},
    ),
    Kind("metric", "register_metrics", "metric", "Metric", "metric"),
    Kind("feature", "register_features", "pretrained", "FeatureNetwork", "feature network"),
    Kind("dataset", "register_datasets", "dataset", "Dataset", "data set"),
    Kind("group", "register_groups", "dataset", "Group", "extra group", instances=True),
    Kind("detector", "register_detectors", "detector", "GroupDetector", "group detector"),
    Kind("format", "register_formats", "checkpoint_format", "CheckpointFormat", "checkpoint format"),
    Kind("weights", "register_weights", "weights", "WeightsSource", "source of weights", instances=True),
)
"""Every kind, in the order of tables."""
_BY_CONTRACT = {kind.contract: kind for kind in KINDS}


def kind_of(contract: type[Any]) -> Kind:
    """Return the kind of a contract class, such as `i2i.Backbone`.

    Raises:
        LookupError: It is not a contract.
    """
    if contract.__name__ not in _BY_CONTRACT:
        raise LookupError(f"{contract.__name__} is not a contract of i2i: {', '.join(_BY_CONTRACT)}.")
    return _BY_CONTRACT[contract.__name__]
