"""The hooks. They import the classes only when called, so that ``i2i --help`` need not wait for torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from i2i import hookimpl

if TYPE_CHECKING:
    from i2i import Backbone, Group, GroupDetector, Loss, RunView

log = logging.getLogger(__name__)


@hookimpl
def register_losses() -> Iterable[type[Loss]]:
    """Return the loss; ``--loss.total_variation 0.1`` adds it to any backbone."""
    from i2i_plugin_example.parts import TotalVariation

    return [TotalVariation]


@hookimpl
def register_backbones() -> Iterable[type[Backbone]]:
    """Return the backbone; ``--backbone sketch`` chooses it."""
    from i2i_plugin_example.parts import Sketch

    return [Sketch]


@hookimpl
def register_groups() -> Iterable[Group]:
    """Return the group; with this plugin installed, the data set ``emoji`` also has robots."""
    from i2i import Group

    folder = Path(__file__).parent / "robots"
    return [Group("robot", folder / "trainA", folder / "trainB", folder / "testA", extends="emoji")]


@hookimpl
def register_detectors() -> Iterable[type[GroupDetector]]:
    """Return the detector; ``i2i translate --group auto`` uses it if a model has no group head."""
    from i2i_plugin_example.parts import ByColour

    return [ByColour]


@hookimpl
def on_step(run: RunView, step: int, losses: Mapping[str, float]) -> None:
    """Warn, at most every 100 steps, when the discriminators have won and the generators no longer learn."""
    loss = losses.get("discriminator/adversarial", 1.0)
    if step % 100 == 0 and loss < 0.01:
        log.warning("%s, step %d: the discriminators' adversarial loss is only %.4f", run.stage, step, loss)
