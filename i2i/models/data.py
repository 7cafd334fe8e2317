"""Building a data set from the ``data`` section of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from i2i.contracts.dataset import Dataset, Extended, Group
from i2i.errors import DataError, UnknownComponentError
from i2i.models.components import Configured, component_name, configure
from i2i.registry.registry import Registry


def resolve_data(given: Mapping[str, Any], registry: Registry) -> Configured[Dataset]:
    """Complete the ``data`` section of a configuration.

    Raises:
        UnknownComponentError: No plugin provides the data set.
        ConfigError: An option is unknown or wrong.
    """
    return configure(find_dataset(given, registry), given.get("data", {}), "data")


def joining_groups(data: Configured[Dataset], named: Sequence[str] | None, registry: Registry) -> tuple[str, ...]:
    """Return the plugins' groups that join a data set: those named, or by default all that extend it."""
    return tuple(registry.groups_of(data.component.name) if named is None else named)


def build_data(data: Configured[Dataset], groups: Sequence[str], registry: Registry) -> Dataset:
    """Construct a data set, including groups added by plugins.

    Raises:
        UnknownComponentError: No plugin provides a group.
        PluginError: Two plugins provide the same group.
        DataError: The data cannot be used, or already has a group of that name.
    """
    dataset = data.build()
    for name in groups:
        if name in dataset.groups:
            raise DataError(
                f"The data set '{data.component.name}' ({registry.provider(Dataset, data.component.name)}) has a "
                f"group '{name}', and so has {registry.provider(Group, name)}. Name the plugins' groups to use: "
                "--extra-groups '[]'."
            )
    return Extended([registry.get_instance(Group, name) for name in groups], dataset) if groups else dataset


def find_dataset(given: Mapping[str, Any], registry: Registry) -> type[Dataset]:
    """Return the data set named in a configuration.

    Raises:
        UnknownComponentError: No plugin provides it.
    """
    name = component_name(given, "data")
    try:
        return registry.get(Dataset, name)
    except UnknownComponentError as error:
        raise UnknownComponentError(f"{error} A folder of images is named by a path, such as ./{name}.") from error
