"""Who learns from whom: trainings of every transfer, and whose weights a sample of a group may change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.contracts.domains import Batch
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.testing import Noise
from i2i.training.average import Average
from i2i.training.step import Training
from tests.trainings import published_backbone, training_on

BASE, NEW = "woman", ("man", "kid")
# Who changes, in generators and discriminators: the trunk, or a group's own, on a base sample and on one of "man".
CASES = {
    "none": ({}, ["trunk", "trunk"], ["trunk", "trunk"]),
    "branch": ({"cam_groups": "base"}, ["trunk woman", "woman"], ["man", "man"]),
    "branch, cam of all": ({"cam_groups": "all"}, ["trunk woman", "woman"], ["trunk man", "man"]),
    "branch, cam a group": ({"cam": "group", "cam_groups": "all"}, ["trunk woman", "woman"], ["trunk man", "man"]),
    "branch, frozen": ({"trunk": "frozen", "cam_groups": "all"}, ["woman", "woman"], ["man", "man"]),
    "branch, released": ({"updates": "released", "cam_groups": "base"}, ["trunk woman", "woman"], ["man", "man"]),
    "branch, wider": (
        {"branch_points": ("down.*", "blocks.0", "style", "decode.0", "up.*"), "cam_groups": "base"},
        ["trunk woman", "woman"], ["man", "man"],
    ),
    "branch, one layer": ({"judge_depth": 1, "cam_groups": "base"}, ["trunk woman", "trunk woman"], ["man", "man"]),
    "branch, head": ({"judge": "classification", "cam_groups": "base"}, ["trunk woman", "trunk"], ["man", "trunk"]),
    "branch, projection": (
        {"judge": "projection", "cam_groups": "base"}, ["trunk woman", "trunk woman"], ["man", "trunk man"]
    ),
    "branch, both": (
        {"judge": "branched+classification", "cam_groups": "base"},
        ["trunk woman", "trunk woman"], ["man", "trunk man"],
    ),
    "branch-free": ({}, ["trunk woman", "woman"], ["trunk man", "man"]),
    "mixed": ({}, ["trunk", "trunk"], ["trunk", "trunk"]),
    "joint": ({}, ["trunk", "trunk"], ["trunk", "trunk"]),
    "finetune": ({}, ["woman", "woman"], ["man", "man"]),
    "freeze-d": ({}, ["woman", "woman"], ["man", "man"]),
    "adapter": ({}, ["woman", "woman"], ["man", "man"]),
    "adapter, no branches": ({"branches": False}, ["", "woman"], ["man", "man"]),
    "adapter, modulated": ({"form": "modulated"}, ["woman", "woman"], ["man", "man"]),
    "adapter, trunk": ({"trunk": "base"}, ["trunk woman", "woman"], ["man", "man"]),
    "adapter, trunk of all": ({"trunk": "all"}, ["trunk woman", "woman"], ["trunk man", "man"]),
}  # fmt: skip


def expected(case: str, group: str) -> dict[str, set[str]]:
    """Return whose weights a sample of the base group, or of "man", changes on each side."""
    generator, discriminator = CASES[case][1 + (group == "man")]
    return {"generator": set(generator.split()), "discriminator": set(discriminator.split())}


def owner(name: str) -> str:
    found = re.search(r"branches\.(\w+)\.", name)
    return found[1] if found else "trunk"


def owners(names: Iterable[str]) -> set[str]:
    return {owner(name) for name in names}


def training_of(
    folder: Path,
    registry: Registry,
    name: str,
    groups: tuple[str, ...] = NEW,
    backbone: str = "ugatit",
    precision: str = "32",
    ema: float = 0.0,
    accumulate: int = 1,
    batch_size: int = 1,
    loss: Mapping[str, float] | None = None,
    **options: Any,
) -> Training:
    """Return the training of a second stage, not yet begun; options are those of the transfer."""
    seed_everything(0)
    own = {"size": 32, "backbone": published_backbone(registry, backbone, 4), "loss": loss or {}}
    own |= {"generator": {"blocks": 1}} if backbone != "photo2cartoon" else {}
    chosen = resolve(merge(own, {"transfer": {"name": name, **options}}), registry)
    model = Model(chosen, BASE)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    model.backbone.after_step()  # some have a range
    model.adapt(chosen, groups)
    data, counts = Noise(folder, (BASE, *groups)), {"batch_size": batch_size, "accumulate": accumulate}
    training = training_on(data, model, precision, steps=9, ema=ema, **counts)
    training.model = model
    return training


def precise(training: Training) -> Training:
    """Let a training compute in double precision, so that two ways of summing the same gradients can be compared.

    Power iteration, which counts calls by design, is left out; and Adam's eps is large, since the usual one makes much
    of what rounding leaves of gradients that are zero, such as those of biases before a normalisation.
    """
    training.backbone.double().eval()
    if training.average is not None:
        training.average = Average(training.backbone.generators, training.average.decay)
    for group in [group for adam in training.optimizers.values() for group in adam.param_groups]:
        group["eps"] = 1.0
    draw = training.loader.batch
    training.loader.batch = lambda groups, device=None: _double(draw(groups, device))
    return training


def _double(batch: Batch) -> Batch:
    return Batch({domain: x.double() for domain, x in batch.real.items()}, batch.groups)


def snapshot(training: Training) -> dict[str, Tensor]:
    """Return copies of all parameters, and of the generators' average, if there is one."""
    average = training.average.state() if training.average is not None else {}
    tensors = dict(training.backbone.named_parameters()) | {f"average.{name}": t for name, t in average.items()}
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def changes(training: Training, before: Mapping[str, Tensor]) -> set[str]:
    """Return the names of all parameters and averages that have changed since a snapshot."""
    return {name for name, tensor in snapshot(training).items() if not torch.equal(tensor, before[name])}
