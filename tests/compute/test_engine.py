from __future__ import annotations

import logging

import torch

from i2i.compute.engine import Engine
from i2i.compute.randomness import seed_process
from i2i.errors import ConfigError
from tests.wording import refused


def test_it_tells_what_the_last_bits_of_a_result_depend_on():
    told = Engine("cpu").describe()
    assert set(told) == {"device", "processor", "processes", "threads", "torch", "system"}
    assert (told["device"], told["processes"], told["torch"]) == ("cpu", 1, torch.__version__)


def test_a_device_that_is_not_there_is_refused():
    with refused(ConfigError, "abacus", "--device auto", varies=r"\(.+\)"):
        Engine("abacus")


def test_more_processes_than_devices_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    for name in ("TORCHELASTIC_RUN_ID", "GROUP_WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
    with refused(ConfigError, "cuda", "--device auto", varies=r"\(.+\)"):
        Engine("cuda")


def test_fabric_stays_quiet_and_speaks_again(caplog):
    logger = logging.getLogger("lightning_fabric")
    level = logger.level
    Engine("cpu", "bf16")
    assert caplog.text == ""
    assert logger.level == level


def test_every_process_has_random_numbers_of_its_own():
    found = []
    for seed, index in ((0, 1), (0, 2), (1, 1), (0, 1)):
        seed_process(seed, index)
        found.append(torch.rand(1).item())
    assert found[0] == found[3]
    assert len(set(found)) == 3
