from __future__ import annotations

import pytest
from tensorboard.backend.event_processing import event_accumulator as accumulator

from i2i.config.options import merge
from i2i.errors import ConfigError
from i2i.runs import checks
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.listeners.samples import SampleGrids
from i2i.runs.listeners.tensorboard import TensorBoard
from i2i.runs.run import Run, Stopped, create_run
from tests.wording import refused

NAMED = ("--log tensorboard", "pip install 'i2i[tensorboard]'")


@pytest.fixture(scope="module")
def given(tiny):
    short = {"steps": 2, "sample_every": 2, "checkpoint_every": 1, "log": "tensorboard"}
    return merge(tiny, {**short, "backbone": {"name": "cyclegan"}})


def listeners():
    return [MetricsFile(), SampleGrids(), TensorBoard()]


def events(run, stage):
    return accumulator.EventAccumulator(str(run.folder / "logs" / stage)).Reload()


@pytest.fixture(scope="module")
def run(tmp_path_factory, given, registry):
    """A run that was stopped in the first stage, and went on."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(Stopped):
        create_run(folder, given, registry).execute(listeners(), stop_after=1)
    run = Run(folder, registry)
    run.execute(listeners())
    return run


@pytest.mark.parametrize("stage", ["base", "transfer"])
def test_losses_of_every_step(run, stage):
    found = events(run, stage)
    assert {"generator/adversarial", "discriminator/adversarial", "generator/cycle"} <= set(found.Tags()["scalars"])
    assert [event.step for event in found.Scalars("generator/cycle")] == [1, 2]
    assert all(event.value > 0 for event in found.Scalars("generator/cycle"))


@pytest.mark.parametrize("stage", ["base", "transfer"])
def test_grids(run, stage):
    found = events(run, stage).Images("samples")
    assert [event.step for event in found] == [2, 2]  # the last one on the way, and that of the finished model
    assert found[0].width == 130 + 2 * 100


def test_scores_that_have_a_value(run):
    from i2i.contracts.scores import Judgement

    scores = {"kid": {"l1": Judgement(0.25, 0.2, 0.3, 6), "lpips": Judgement(note="n too small")}}
    board = TensorBoard()
    run.stage = "extra"
    board.on_train_start(run)
    board.on_evaluate(run, run.steps, scores)
    found = events(run, "extra")
    assert found.Tags()["scalars"] == ["l1/kid"]
    assert [(event.step, event.value) for event in found.Scalars("l1/kid")] == [(2, 0.25)]


@pytest.fixture
def without_tensorboard(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)


def test_a_run_without_the_extra_is_refused_before_anything_is_written(tmp_path, given, registry, without_tensorboard):
    with refused(ConfigError, *NAMED):
        create_run(tmp_path / "run", given, registry)
    assert not (tmp_path / "run").exists()


def test_going_on_without_the_extra_is_refused(without_tensorboard):
    with refused(ConfigError, *NAMED):
        TensorBoard()


def test_a_run_that_does_not_log_needs_no_extra(without_tensorboard):
    checks.check_logging("none")
