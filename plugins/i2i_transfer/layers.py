"""The layers of a discriminator in order from the image, for transfers that treat lower and upper ones differently."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from i2i import Discriminator


def layers(discriminator: Discriminator) -> list[list[str]]:
    """Return the paths of the trainable layers, from the image on, one list per part or scale.

    Modules in a ``ModuleList`` or ``ModuleDict`` are parts side by side; all others follow one another in registration
    order. A layer is the outermost module below a part that is not just a sequence.
    """
    parts = [_series(path, part) for path, part in _parts(discriminator)]
    return [part for part in parts if part]


def upper(discriminator: Discriminator, count: int) -> tuple[str, ...]:
    """Return the paths of the last ``count`` layers of every part."""
    return tuple(path for part in layers(discriminator) for path in part[-count:])


def _parts(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the path and module of every part; parts may be nested."""
    side_by_side = [child for child in module.named_children() if isinstance(child[1], _PARTS)]
    for name, child in side_by_side:
        for key, part in child.named_children():
            yield from _parts(part, _join(path, f"{name}.{key}"))
    if not side_by_side:
        yield path, module


def _series(path: str, part: nn.Module) -> list[str]:
    """Return the layers of one part; a part without children is itself a layer."""
    flattened = [layer for name, child in part.named_children() for layer in _flattened(_join(path, name), child)]
    return flattened or ([path] if _learns(part) else [])


def _flattened(path: str, module: nn.Module) -> Iterator[str]:
    if isinstance(module, nn.Sequential):
        for name, child in module.named_children():
            yield from _flattened(_join(path, name), child)
    elif _learns(module):
        yield path


def _learns(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


_PARTS = (nn.ModuleList, nn.ModuleDict)
