"""The training steps that the benchmarks time: untrained models on noise, built in the process that times them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Case(NamedTuple):
    """What is timed: a backbone at a size and width, on a batch or on sub-batches of new groups."""

    backbone: str
    size: int
    channels: int
    batch: int = 1
    groups: int = 0
    samples: int = 1
    judge: str = "branched"

    @property
    def name(self) -> str:
        """A name for the command line."""
        return f"{self.backbone}-{self.size}" + (f"-{self.groups}-groups" if self.groups else "")

    def __str__(self) -> str:
        groups = f", stage 2, {self.groups} groups" if self.groups else ""
        return f"{self.backbone} {self.size} px, {self.channels} channels, batch {self.batch}{groups}"


CASES = {
    case.name: case
    for case in (
        Case("ugatit", 64, 16, batch=4),
        Case("ugatit", 128, 32),
        Case("ugatit", 256, 64),
        Case("photo2cartoon", 64, 16, batch=4),
        Case("photo2cartoon", 128, 32),
        Case("photo2cartoon", 256, 64),
        Case("cyclegan", 64, 16, batch=4),
        Case("cyclegan", 128, 64),
        Case("cyclegan", 256, 64),
        Case("unit", 64, 16, batch=4),
        Case("unit", 128, 64),
        Case("unit", 256, 64),
        Case("ugatit", 64, 16, groups=4),
        Case("ugatit", 128, 16, groups=4),
        Case("ugatit", 256, 16, groups=4),
        Case("photo2cartoon", 128, 16, groups=4),
    )
}


def build_training(case: Case, threads: int, precision: str = "32", device: str = "cpu") -> Any:
    """Return a training of a case."""
    from i2i import Backbone
    from i2i.models.assembly import resolve
    from i2i.registry.registry import installed

    groups = tuple(f"group{number}" for number in range(case.groups))
    published = {"discriminator": installed().get(Backbone, case.backbone).Config.model_fields["discriminator"].default}
    sizes = {"size": case.size, "batch_size": case.batch}
    given = {**sizes, "backbone": {"name": case.backbone, "channels": case.channels, **published}}
    transfer = {"transfer": {"name": "branch", "samples": case.samples, "judge": case.judge}} if groups else {}
    return training_of(resolve({**given, **transfer}, installed()), groups, threads, precision, device)


def training_of(
    chosen: Any, groups: tuple[str, ...] = (), threads: int = 1, precision: str = "32", device: str = "cpu"
) -> Any:
    """Return a training of these components whose model is untrained and whose images are noise."""
    from i2i.compute.engine import Engine
    from i2i.compute.randomness import seed_everything
    from i2i.contracts.transfer import NoTransfer
    from i2i.models.model import Model
    from i2i.pretrained.networks import PretrainedNetworks
    from i2i.testing import Noise
    from i2i.training.loader import Loader
    from i2i.training.step import Training

    seed_everything(0)
    config = chosen.config
    data = Noise(Path(tempfile.mkdtemp()), ("base", *groups), config.size + 8)
    model = Model(chosen, data.base, groups)
    transfer = model.transfer or NoTransfer(NoTransfer.Config(), data.base, ())
    return Training(
        model.backbone, transfer, chosen.build_losses(transfer.config), Loader(data, config.size, 0),
        Engine(device, precision, threads=threads), steps=100, batch_size=config.batch_size, seed=0,
        pretrained=PretrainedNetworks(chosen.registry),
    )  # fmt: skip


def build_step(case: Case, threads: int, published: bool, device: str = "cpu") -> Callable[[], Any]:
    """Return the step of a training, ours or the published one."""
    training = build_training(case, threads, device=device)
    if not published:
        return training.step
    from published_step import PublishedStep

    return PublishedStep(training).step


def timed(work: Callable[[], Any], device: str = "cpu") -> dict[str, float]:
    """Return the wall and processor seconds of ``work``, which ends when a GPU has done all that was queued."""
    _finish(device)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    _finish(device)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def peak_gib(device: str = "cpu") -> float:
    """Return the largest memory so far in GiB: that of this process, or of its tensors on a GPU."""
    from i2i.compute.memory import peak_memory

    return (peak_memory(torch.device(device)) or 0) / 2**30


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
