"""Whether the components of a configuration can work together."""

from __future__ import annotations

from contextlib import suppress

from i2i.compute.outlining import without_weights
from i2i.contracts.transfer import Transfer
from i2i.errors import ConfigError
from i2i.models.components import OPTIONAL_PASSES, Components
from i2i.models.size import bounded


def check_fit(chosen: Components, judges: bool = True) -> None:
    """Refuse components that cannot work together.

    Args:
        chosen: The components.
        judges: Also construct a discriminator.

    Raises:
        ConfigError: A part lacks something another part needs, or cannot take this image size; or nothing would be
            learned.
    """
    can = chosen.transfer.options.provides | chosen.provided
    lacking = sorted(chosen.backbone.component.requires - chosen.generator.component.provides)
    if lacking:
        raise ConfigError(_unsuited(chosen, lacking[0]))
    for transfer in chosen.transfers:
        losses = chosen.losses_with(transfer)
        for name, choice in losses.items():
            lacking = sorted((choice.component.needs & OPTIONAL_PASSES) - can)
            if lacking:
                raise ConfigError(_misfit(chosen, name, lacking[0]))
        if not losses:
            raise ConfigError(_nothing_learned(transfer))
    _check_buildable(chosen, judges)


def _check_buildable(components: Components, judges: bool) -> None:
    """Construct the networks without allocating their weights, so that bad options fail before a run starts."""
    with suppress(RuntimeError), without_weights():  # networks that need real weights are built later
        with bounded("generator", components.generator):
            step, size = components.generator.build().multiple_of, components.config.size
        if size % step:
            near = max(step, round(size / step) * step)
            raise ConfigError(
                f"The generator '{components.generator.component.name}' takes sizes that divide by {step}, not {size}. "
                f"Try --size {near}."
            )
        if judges:
            with bounded("discriminator", components.discriminator):
                components.build_discriminator()


def _nothing_learned(transfer: Transfer.Config) -> str:
    if transfer.loss:
        return (
            "With --transfer.loss every loss has weight 0, so that the transfer would learn nothing. Give one a weight."
        )
    return "Every loss has weight 0, so that nothing would be learned. Give one a weight: --loss.cycle 10."


def _misfit(chosen: Components, loss: str, lacking: str) -> str:
    if lacking == "group":
        who, does = f"transfer '{chosen.transfer.component.name}'", "adds no group head as configured"
    elif lacking == "reconstructed":
        who, does = f"backbone '{chosen.backbone.component.name}'", "computes no reconstruction"
    else:
        who, does = f"generator '{chosen.generator.component.name}'", f"gives no {lacking}"
    without = f"Set --loss.{loss} 0" if chosen.losses[loss].options.weight else f"Leave {loss} out of --transfer.loss"
    remedy = f"{without}, or choose another {who.split()[0]}."
    return f"Loss '{loss}' needs '{lacking}', but the {who} {does}. {remedy}"


def _unsuited(chosen: Components, lacking: str) -> str:
    default = chosen.backbone.component.Config.model_fields["generator"].default
    return (
        f"The backbone '{chosen.backbone.component.name}' needs generators that give '{lacking}', but "
        f"'{chosen.generator.component.name}' gives none. Use --generator {default}."
    )
