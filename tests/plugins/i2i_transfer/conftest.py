"""An adapted model with the training of its second stage, of any transfer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from i2i.assemble import choose
from i2i.config import merge
from i2i.engine import Engine, seed_everything
from i2i.loader import Loader
from i2i.model import Model
from i2i.testing import Noise
from i2i.train import Training

BASE = "woman"


@pytest.fixture
def prepare(tmp_path: Path, registry) -> Callable[..., Training]:
    """Call it as ``prepare(name, groups, backbone, precision, **options)``; it gives the training, not yet begun."""

    def call(name, groups=("man", "kid"), backbone="ugatit", precision="32", **options) -> Training:
        seed_everything(0)
        own = {"size": 32, "backbone": {"name": backbone, "channels": 4}}
        own |= {"generator": {"blocks": 1}} if backbone != "photo2cartoon" else {}
        chosen = choose(merge(own, {"transfer": {"name": name, **options}}), registry)
        model = Model(chosen, BASE)
        with torch.no_grad():
            for parameter in model.backbone.parameters():
                parameter += 0.01 * torch.randn_like(parameter)
        model.backbone.after_step()  # some have a range
        transfer = model.adapt(chosen, groups)
        loader = Loader(Noise(tmp_path, (BASE, *groups)), 32, 0)
        engine, losses = Engine("cpu", precision), chosen.build_losses(transfer.provides)
        training = Training(model.backbone, transfer, losses, loader, engine, steps=9, batch_size=1, seed=0)
        training.model = model
        return training

    return call
