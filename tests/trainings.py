"""Trainings of a model, ready to take steps."""

from __future__ import annotations

from typing import Any

from i2i.compute.engine import Engine
from i2i.contracts.backbone import Backbone
from i2i.contracts.dataset import Dataset
from i2i.contracts.transfer import NoTransfer
from i2i.models.model import Model
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry
from i2i.training.loader import Loader
from i2i.training.step import Training


def published_backbone(registry: Registry, name: str, channels: int) -> dict[str, Any]:
    """Return the options of a backbone with its own discriminator, which the quick preset may replace by others."""
    judge = registry.get(Backbone, name).Config.model_fields["discriminator"].default
    return {"name": name, "channels": channels, "discriminator": judge}


def training_on(data: Dataset, model: Model, precision: str = "32", **options: Any) -> Training:
    """Return the training of a model, with the transfer it was adapted by, if any; not yet started.

    Args:
        data: The images.
        model: The model.
        precision: The floating-point precision.
        options: Other arguments of `Training`; by default on the CPU, 10 steps, batch size 2 and seed 0.
    """
    transfer = model.transfer or NoTransfer(NoTransfer.Config(), model.base, ())
    losses = model.components.build_losses(transfer.config)
    pretrained = PretrainedNetworks(model.components.registry)
    defaults = {"steps": 10, "batch_size": 2, "seed": 0, "pretrained": pretrained}
    engine = options.pop("engine", None) or Engine("cpu", precision)
    return Training(model.backbone, transfer, losses, Loader(data, model.size, 0), engine, **{**defaults, **options})
