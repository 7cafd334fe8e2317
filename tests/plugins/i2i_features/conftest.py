from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from i2i.contracts.domains import Batch
from i2i.contracts.generator import Translation
from i2i.contracts.loss import Passes
from i2i.errors import WeightsError
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry

CPU, META = torch.device("cpu"), torch.device("meta")
REGISTRY = Registry()
PRETRAINED = PretrainedNetworks(REGISTRY)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def needs() -> Callable[[str], Path]:
    """Return the file of a network's weights, or skip the test where they are nowhere."""

    def call(network: str) -> Path:
        try:
            return PRETRAINED.find(network).path
        except WeightsError as error:
            pytest.skip(str(error))

    return call


@pytest.fixture
def nowhere(monkeypatch, tmp_path) -> None:
    """Let no weights be on this machine."""
    for variable in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / "empty"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


@pytest.fixture
def noisy() -> Callable[[int], Passes]:
    """Passes of two samples whose fakes are noise that has gradients."""

    def call(side: int) -> Passes:
        passes = Passes(Batch({domain: noise(side) for domain in "ab"}, ("woman", "man")))
        passes.fake = {domain: Translation(noise(side).requires_grad_()) for domain in "ab"}
        return passes

    return call


def noise(side: int, count: int = 2) -> Tensor:
    """Return images of noise, ``(count, 3, side, side)`` in [-1, 1]."""
    return torch.rand(count, 3, side, side) * 2 - 1
