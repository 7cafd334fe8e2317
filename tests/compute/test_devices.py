"""Which device is chosen."""

from __future__ import annotations

import pytest
import torch

from i2i.compute.devices import choose_device
from i2i.errors import ConfigError
from tests.wording import refused


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs, as far as choosing one goes."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(("rank", "index"), [("0", 0), ("1", 1), ("2", 0)])
def test_each_process_gets_a_gpu(monkeypatch, gpus, rank, index) -> None:
    monkeypatch.setenv("LOCAL_RANK", rank)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", index)
    assert choose_device("cpu") == torch.device("cpu")


def test_one_that_is_not_there(monkeypatch, gpus) -> None:
    with refused(ConfigError, "mps", "cuda, cpu", "--device"):
        choose_device("mps")
