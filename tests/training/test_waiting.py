"""In a step the CPU waits for a GPU once, for the losses at its end.

The meta device of torch stands for the GPU: its tensors have no values, so that every look at one is an operation of
its own, which is counted here, or raises, for there is nothing to look at.
"""

from __future__ import annotations

import importlib
import traceback
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from i2i import Backbone, Transfer
from i2i.compute import host
from i2i.compute.engine import Engine
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.testing import SIZE, Noise
from i2i.training.augmentation import Adaptive, DiffAugment
from tests.sampling import costly
from tests.trainings import training_on

META = torch.device("meta")
GROUPS = ("woman", "man", "kid")
READ, COPY = torch.ops.aten._local_scalar_dense.default, torch.ops.aten._to_copy.default
ROOT = Path(__file__).parents[2]
OURS = (str(ROOT / "i2i"), str(ROOT / "plugins"))
INSTALLED = Registry()
SMALL = {name: {} if name == "photo2cartoon" else {"generator": {"blocks": 1}} for name in INSTALLED.names(Backbone)}
PAIRS = list(product(SMALL, INSTALLED.names(Transfer)))
REPORT = "in i2i/compute/host.py: flat = torch.cat([tensor.detach().flatten() for tensor in tensors]).cpu()"


class MetaEngine(Engine):
    """An engine that computes on the meta device."""

    device = META


class Waits(TorchDispatchMode):
    """Lists what the CPU would wait for in the block, each as operation and line of code.

    That is: reading a value of the device, copying from it, copying to it without queueing, and tensors of the CPU
    among the arguments of an operation on the device, such as an index, which torch copies there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        away = any(tensor.device == META for tensor in tensors)
        if away and operation is READ:
            return self._waited(operation, 0.5)
        if operation is COPY:
            return self._copied(away, *args, **kwargs)
        if away and any(tensor.device != META and tensor.ndim for tensor in tensors):
            self._waited(operation)
        return operation(*args, **kwargs)

    def _copied(self, away: bool, x: Tensor, **options: Any) -> Tensor:
        to = torch.device(options.get("device") or x.device)
        if away and to != META:
            return self._waited(COPY, torch.zeros(x.shape, dtype=options.get("dtype") or x.dtype))
        if to == META and not away and not options.get("non_blocking"):
            self._waited(COPY)
        return COPY(x, **options)

    def _waited(self, operation: Any, value: Any = None) -> Any:
        stack = traceback.extract_stack()
        ours = [frame for frame in stack if frame.filename.startswith(OURS)] or stack
        self.places.append(f"{operation} in {ours[-1].filename.removeprefix(f'{ROOT}/')}: {ours[-1].line}")
        return value


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch):
    """Let the meta device have what a GPU has: fused Adam, autocast, and queued copies."""
    for name in ("torch.optim.optimizer", "torch.utils._foreach_utils"):
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "_get_fused_kernels_supported_devices", lambda: ["cpu", "meta"])
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())
    monkeypatch.setattr(host, "_QUEUEING", {"meta"})
    monkeypatch.setattr(Tensor, "pin_memory", lambda x: x)


@pytest.mark.parametrize("look", [
    lambda x: x.sum().item(), lambda x: x.tolist(), lambda x: x.cpu(), lambda x: x.numpy(force=True),
    lambda x: bool(x.sum() > 0), lambda x: int(x.sum()), lambda x: x[torch.tensor([1, 0])],
    lambda x: torch.ones(2).to(META),
])  # fmt: skip
def test_a_wait_is_counted(look):
    with Waits() as waits:
        look(torch.empty(2, 3, device=META))
    assert len(waits.places) == 1


@pytest.mark.parametrize("look", [
    lambda x: x.nonzero(), lambda x: x[x > 0], lambda x: x.masked_select(x > 0), lambda x: x.unique(),
    lambda x: torch.equal(x, x), lambda x: torch.where(x > 0),
])  # fmt: skip
def test_a_shape_or_answer_that_depends_on_values_raises(look):
    with Waits(), pytest.raises((NotImplementedError, RuntimeError)):
        look(torch.empty(2, 3, device=META))


@pytest.mark.parametrize("work", [
    lambda x: x * 2 + 1, lambda x: x[:, 1:].contiguous(), lambda x: x.double().to(META),
    lambda x: host.upload(torch.ones(2), META) + x.sum(1), lambda x: torch.where(x > 0, x, 0),
    lambda x: x.masked_fill(x > 0, 1.0),
])  # fmt: skip
def test_work_is_not_counted(work):
    with Waits() as waits:
        work(torch.empty(2, 3, device=META))
    assert waits.places == []


@pytest.mark.parametrize("backbone", costly(SMALL, lambda backbone: backbone == "photo2cartoon"))
def test_a_step_of_the_base_stage_waits_once(tmp_path, backbone):
    training = _training(tmp_path, backbone, augmentation=Adaptive(0.0, rise=8), ema=0.9)
    assert _waits(training) == [f"{COPY} {REPORT}"]


@pytest.mark.parametrize(("backbone", "transfer"), costly(PAIRS, lambda pair: pair[0] != "cyclegan"))
def test_a_step_of_a_transfer_waits_once(tmp_path, backbone, transfer):
    training = _training(tmp_path, backbone, transfer={"name": transfer}, augmentation=DiffAugment())
    assert _waits(training) == [f"{COPY} {REPORT}"]


@pytest.mark.parametrize(
    ("backbone", "losses"), [("cyclegan", ("correspondence", "elastic", "patch_nce")), ("unit", ("identity", "latent"))]
)
def test_a_step_with_losses_that_are_off_by_default_waits_once(tmp_path, backbone, losses):
    given = {"transfer": {"name": "branch"}, "loss": dict.fromkeys(losses, 1.0)}
    assert _waits(_training(tmp_path, backbone, DiffAugment(), **given)) == [f"{COPY} {REPORT}"]


def _training(folder, backbone, augmentation, ema=0.0, **given):
    data = Noise(folder, GROUPS)
    chosen = resolve(
        {"size": SIZE, "backbone": {"name": backbone, "channels": 4}, **SMALL[backbone], **given}, INSTALLED
    )
    model = Model(chosen, data.base, GROUPS[1:] if "transfer" in given else ())
    return training_on(data, model, engine=MetaEngine("cpu"), augmentation=augmentation, ema=ema)


def _waits(training):
    with Waits() as waits:
        training.step()
    return waits.places
