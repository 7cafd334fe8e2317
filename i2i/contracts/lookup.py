"""The part of the registry that components may use."""

from __future__ import annotations

from typing import Protocol, TypeVar

C = TypeVar("C")


class Lookup(Protocol):
    """Components by contract and name; `i2i.Registry` is one."""

    def get(self, contract: type[C], name: str) -> type[C]:
        """Return a component class, such as ``get(Discriminator, "patch")``.

        Raises:
            UnknownComponentError: No plugin provides it; the message suggests the nearest.
            PluginError: Two plugins do.
        """
        ...

    def names(self, contract: type[object]) -> list[str]:
        """Return the names of all components of a contract, sorted."""
        ...
