"""Rolling back after NaN or infinity: to the last saved state, with half the learning rate, three times at most."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from i2i import Loss
from i2i.config.options import merge
from i2i.errors import CheckpointError, TrainingError
from i2i.hooks import hookimpl
from i2i.registry.registry import Registry
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import Run, Stopped, create_run
from i2i.runs.state import StateDescription, halve_rate
from i2i.storage.tensor_file import find_broken, read, read_description
from tests.runs.test_run import FILES, written
from tests.wording import check, refused


class Planted(Loss):
    """NaN at the steps in ``at``, which count those repeated after a rollback, and otherwise no change."""

    name = "planted"
    needs = frozenset({"fake"})
    at: frozenset[int] = frozenset()
    steps = 0

    def generator(self, passes):
        cls = type(self)
        cls.steps += 1
        return passes.fake["b"].image.flatten(1).mean(1) * (float("nan") if cls.steps in cls.at else 0.0)


@pytest.fixture
def planted(monkeypatch):
    """The loss, which any test may spoil."""
    monkeypatch.setattr(Planted, "steps", 0)
    monkeypatch.setattr(Planted, "at", frozenset())
    return Planted


@pytest.fixture
def registry(planted):
    class Provider:
        @hookimpl
        def register_losses(self):
            return [planted]

    registry = Registry()
    registry.add(Provider(), "provider")
    return registry


@pytest.fixture
def given(tiny):
    parts = {"backbone": {"name": "cyclegan"}, "loss": {"planted": {"weight": 1.0}}, "augment": "ada", "ema": 0.9}
    return merge(tiny, {**parts, "steps": 6, "checkpoint_every": 2, "stages": ["base"], "on_nan": "rollback"})


class Poison(Planted):
    """Finite, with an infinite gradient at the steps in ``at``, so that weights are spoilt before any loss shows it."""

    def generator(self, passes):
        cls = type(self)
        cls.steps += 1
        mean = passes.fake["b"].image.flatten(1).mean(1)
        return (mean - mean.detach()).sqrt() if cls.steps in cls.at else mean * 0.0


def state(folder):
    return StateDescription.of(read_description(folder / "state.safetensors"), folder)


def losses(folder):
    return [entry for entry in written(folder, "metrics.jsonl") if "losses" in entry]


def test_nothing_changes_where_nothing_goes_wrong(tmp_path, given, registry):
    for name in ("stop", "rollback"):
        create_run(tmp_path / name, {**given, "on_nan": name}, registry).execute([MetricsFile()])
    for name in (FILES[0], "metrics.jsonl"):
        assert written(tmp_path / "rollback", name) == written(tmp_path / "stop", name)


@pytest.mark.parametrize("on_nan", ["stop", "rollback"])
def test_no_model_is_kept_with_weights_that_no_loss_has_shown(tmp_path, given, monkeypatch, on_nan):
    monkeypatch.setattr(Poison, "steps", 0)
    monkeypatch.setattr(Poison, "at", frozenset({3}) if on_nan == "stop" else frozenset(range(3, 99)))
    registry = Registry()
    registry.add(type("Provider", (), {"register_losses": hookimpl(lambda self: [Poison])})(), "provider")
    often = {"keep_every": 1, "checkpoint_every": 100, "on_nan": on_nan}
    with refused(TrainingError, "Step 1" if on_nan == "rollback" else "Step 3", "NaN"):
        create_run(tmp_path, merge(given, often), registry).execute()
    kept = sorted((tmp_path / "steps").iterdir())
    assert [file.name for file in kept] == ["base-000001.safetensors", "base-000002.safetensors"]
    assert all(find_broken(read(file)[0]) is None for file in kept)


@pytest.mark.parametrize(("at", "back"), [(1, 0), (4, 2)])
def test_a_stage_resumes_with_half_the_rate(tmp_path, given, registry, planted, at, back):
    said = []
    planted.at = frozenset({at})
    create_run(tmp_path / "run", given, registry).execute([MetricsFile()], say=said.append)
    check(said[0], "planted", "nan", f"step {back}", 1, 3)
    assert [(entry["step"], entry.get("halvings", 0)) for entry in losses(tmp_path / "run")] == [
        (step, int(step > back)) for step in range(1, 7)
    ]
    planted.at = frozenset()
    apart = create_run(tmp_path / "apart", given, registry)
    with pytest.raises(Stopped):
        apart.execute([MetricsFile()], stop_after=back)
    halve_rate(tmp_path / "apart" / "state.safetensors")
    Run(tmp_path / "apart", registry).execute([MetricsFile()])
    for name in (FILES[0], "metrics.jsonl"):
        assert written(tmp_path / "run", name) == written(tmp_path / "apart", name), name


@pytest.mark.parametrize(
    "spoil", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-100])], ids=["gone", "cut"]
)
def test_a_state_that_is_gone_or_cut_off_by_the_time_it_is_needed_is_named(tmp_path, given, registry, planted, spoil):
    class Spoil:
        @hookimpl
        def on_step(self, run, step):
            if step == 3:
                spoil(tmp_path / "state.safetensors")

    planted.at = frozenset({4})
    with refused(CheckpointError, tmp_path / "state.safetensors"):
        create_run(tmp_path, given, registry).execute([Spoil()])


def test_a_run_stopped_after_a_rollback_keeps_the_rate(tmp_path, given, registry, planted):
    for name, stop in {"whole": None, "parts": 3}.items():
        planted.steps, planted.at = 0, frozenset({4})
        run = create_run(tmp_path / name, given, registry)
        if stop is not None:
            with pytest.raises(Stopped):
                run.execute([MetricsFile(), Stop(after=stop)])
            assert state(tmp_path / name).halvings == 1
            run = Run(tmp_path / name, registry)
        run.execute([MetricsFile()])
    for name in (FILES[0], "metrics.jsonl"):
        assert written(tmp_path / "parts", name) == written(tmp_path / "whole", name), name


class Stop:
    """Asks for a stop once a step with the halved rate is done."""

    def __init__(self, after):
        self.after = after

    @hookimpl
    def on_step(self, run, step):
        if step == self.after and run.halvings:
            os.kill(os.getpid(), signal.SIGTERM)


def test_it_stops_after_three_times_also_when_resumed(tmp_path, given, registry, planted):
    said = []
    planted.at = frozenset(range(3, 100))
    with refused(TrainingError, "planted", 3, "step 2", "lr"):
        create_run(tmp_path / "run", given, registry).execute([MetricsFile()], say=said.append)
    assert [line.split("rollback ")[1] for line in said] == [f"{number} of 3)." for number in (1, 2, 3)]
    assert state(tmp_path / "run").halvings == 3
    with refused(TrainingError, 3):
        Run(tmp_path / "run", registry).execute([MetricsFile()], say=said.append)
    assert len(said) == 3


def test_each_stage_begins_with_the_whole_rate(tmp_path, given, registry, planted):
    planted.at = frozenset({2, 13})  # a step of the transfer has two sub-batches
    both = {**given, "stages": ["base", "transfer"], "transfer_steps": 4}
    create_run(tmp_path / "run", both, registry).execute([MetricsFile()])
    halvings = {(entry["stage"], entry["step"]): entry.get("halvings", 0) for entry in losses(tmp_path / "run")}
    assert halvings["base", 6] == 1
    assert {step: n for (stage, step), n in halvings.items() if stage == "transfer"} == {1: 0, 2: 0, 3: 1, 4: 1}


def test_a_weight_that_no_loss_shows_is_rolled_back(tmp_path, given, registry):
    said = []
    create_run(tmp_path / "run", given, registry).execute([Spoiler()], say=said.append)
    check(said[0], "weights/", "step 4")
    assert state(tmp_path / "run").halvings == 1


class Spoiler:
    """Makes a weight infinite after the last step, once."""

    spoilt = False

    @hookimpl
    def on_step(self, run, step):
        if step == run.steps and not self.spoilt:
            self.spoilt = True
            with torch.no_grad():
                next(run.model.backbone.generators.parameters()).view(-1)[0] = float("inf")


def test_half_the_rate_reaches_the_optimizers(tmp_path, given, registry):
    run, rates = create_run(tmp_path / "run", {**given, "steps": 2}, registry), []
    training = run._start()
    for training.halvings in (0, 1, 3):
        training._set_learning_rates()
        rates.append([group["lr"] for one in training.optimizers.values() for group in one.param_groups])
    assert rates[1] == [rate / 2 for rate in rates[0]]
    assert rates[2] == [rate / 8 for rate in rates[0]]
