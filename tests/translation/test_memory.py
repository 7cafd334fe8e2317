"""Translations that the machine cannot hold are refused, and those at the same time share what it has."""

from __future__ import annotations

from threading import Thread

import pytest
import torch
from PIL import Image

from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.translation import memory
from i2i.translation.jobs import Job
from i2i.translation.memory import Memory
from i2i.translation.pipeline import Pipeline
from tests.wording import check

SIDE = 64
LEAST = 4 * 4 * SIDE**2
"""Bytes of one layer at full resolution with 4 channels, as those of ``tiny``."""


@pytest.fixture(scope="module", params=["ugatit", "cyclegan", "unit"])
def each(request, tiny, registry) -> Model:
    return Model(resolve({**tiny, "backbone": {"name": request.param, "channels": 4}}, registry), "woman")


@pytest.fixture
def model(tiny, registry) -> Model:
    return Model(resolve(tiny, registry), "woman")


@pytest.fixture
def small(monkeypatch) -> None:
    """A machine with memory for two layers, all of whose translations are estimated."""
    monkeypatch.setattr(memory, "MOST_AT_ONCE", 0)
    monkeypatch.setattr(memory, "machine_memory", lambda _: 2 * LEAST)


@pytest.fixture
def job(tmp_path) -> Job:
    Image.effect_noise((SIDE, SIDE), 80).convert("RGB").save(tmp_path / "face.png")
    return Job(tmp_path / "face.png", tmp_path / "new.png")


def test_an_estimate_is_the_memory_of_several_layers(each, monkeypatch) -> None:
    monkeypatch.setattr(memory, "MOST_AT_ONCE", 0)
    needed = Memory(each, "a2b")._needed(SIDE**2)
    assert 2 * LEAST < needed < 20 * LEAST
    assert Memory(each, "b2a", 0.5)._needed(2 * SIDE**2) == pytest.approx(needed, abs=1)


@pytest.mark.usefixtures("small")
def test_one_image_beyond_the_memory_fails_alone(model, job, tmp_path) -> None:
    Image.new("RGB", (64, 1)).save(tmp_path / "long.png")
    model.max_pixels = 10**9
    long = Job(tmp_path / "long.png", tmp_path / "new-long.png")
    done, failed = Pipeline(model, size=16).run([job, long])
    assert (done.error, job.target.exists(), long.target.exists()) == ("", True, False)
    check(failed.error, long.source, f"{16 * 16 * 64:,}", "--tiles", varies=r"\d+\.\d+ \w+")


@pytest.mark.usefixtures("small")
def test_tiles_share_statistics_within_the_memory(model, job) -> None:
    model.max_pixels = 10**9
    (outcome,) = Pipeline(model, tiles=True).run([job])
    check(outcome.error, job.source, f"{SIDE**2:,}", "--max-pixels", varies=r"\d+\.\d+ \w+")


@pytest.mark.usefixtures("small")
def test_a_batch_that_the_memory_does_not_hold_is_smaller(model, job) -> None:
    most = Pipeline(model, batch=10**6)._fitting(8, 8)
    assert 1 < most < 2 * LEAST / 64
    assert Pipeline(model, batch=2)._fitting(8, 8) == 2


@pytest.mark.usefixtures("small")
def test_translations_wait_for_memory(model) -> None:
    shared = Memory(model, "a2b")
    with shared.taken(SIDE**2):  # more than there is, but nothing else is under way
        waiting = Thread(target=lambda: shared.taken(1).__enter__(), daemon=True)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_network_that_needs_real_values_is_not_estimated(model, monkeypatch) -> None:
    def fail(*_: object) -> torch.Tensor:
        raise RuntimeError

    monkeypatch.setattr(type(model.backbone), "translate", fail)
    assert memory._peak(model, "a2b") == 0
