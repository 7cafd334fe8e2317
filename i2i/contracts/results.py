"""Checking what networks return, so that a mistake in one is named where it is made."""

from __future__ import annotations

from torch import Tensor, nn

from i2i.contracts.discriminator import Verdict
from i2i.contracts.generator import Translation
from i2i.errors import PluginError


def checked_translation(result: object, x: Tensor, generator: nn.Module) -> Translation:
    """Return a generator's result for ``x``, ``(N, 3, H, W)``.

    Raises:
        PluginError: It is not a translation of real numbers, of the same shape.
    """
    if not isinstance(result, Translation):
        raise _mistake("generator", generator, result, "a Translation")
    if not _is_real(result.image) or result.image.shape != x.shape:
        raise _mistake("generator", generator, result.image, f"an image of real numbers, {tuple(x.shape)}")
    return result


def checked_verdict(result: object, x: Tensor, discriminator: nn.Module) -> Verdict:
    """Return a discriminator's result for ``x``, ``(N, 3, H, W)``.

    Raises:
        PluginError: It is not a verdict with logits, real numbers for each of N images.
    """
    if not isinstance(result, Verdict):
        raise _mistake("discriminator", discriminator, result, "a Verdict")
    if not isinstance(result.logits, list) or not result.logits:
        raise _mistake("discriminator", discriminator, result.logits, "a list of logits")
    for logits in result.logits:
        if not _is_real(logits) or not logits.ndim or len(logits) != len(x):
            raise _mistake("discriminator", discriminator, logits, f"real numbers for each of {len(x)} images")
    return result


def _is_real(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _mistake(kind: str, network: nn.Module, result: object, expected: str) -> PluginError:
    returned = "[]" if isinstance(result, list) and not result else type(result).__name__
    if isinstance(result, Tensor):
        returned = f"{str(result.dtype).removeprefix('torch.')} {tuple(result.shape)}"
    name = getattr(network, "name", type(network).__name__)
    return PluginError(f"The {kind} '{name}' returned {returned}, not {expected}. Mend it or choose another {kind}.")
