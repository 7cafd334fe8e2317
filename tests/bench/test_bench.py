"""A bench's cells and their stored scores."""

from __future__ import annotations

import pytest

from i2i import Metric, Score, WeightsError, hookimpl
from i2i.bench.bench import SCORES_FILE, Bench, Cell, Plan, _transfer
from i2i.errors import ConfigError
from i2i.evaluation.scoring import Evaluation
from i2i.registry.registry import Registry
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import Run, create_run
from tests.wording import refused

WEIGHTS = {"here": False}
VALUE = {"last": 1.0}


class Late(Metric):
    """Needs weights that come later."""

    name = "late"
    fewest = 2

    def prepare(self, pretrained, device) -> None:
        super().prepare(pretrained, device)
        if not WEIGHTS["here"]:
            raise WeightsError("The weights of late are missing.")

    def score(self, case) -> Score:
        return Score(VALUE["last"], VALUE["last"], VALUE["last"], len(case.fake))


class Plugin:
    @hookimpl
    def register_metrics(self):
        return [Late]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, registry, tiny):
    """A finished run, as a cell has one."""
    folder = tmp_path_factory.mktemp("cells") / "none-0"
    create_run(folder, {**tiny, "transfer": {"name": "none"}}, registry).execute([MetricsFile()])
    return folder


@pytest.fixture
def scored(folder, registry, tmp_path, monkeypatch):
    """Score the cell by the late metric alone, as a bench that is started again does."""
    (folder / SCORES_FILE).unlink(missing_ok=True)
    metrics = Registry(entry_points=[])
    metrics.add(Plugin(), "late")
    dataset = Run(folder, registry).dataset
    monkeypatch.setattr(Bench, "_evaluate", lambda *_: Evaluation(dataset, metrics))
    monkeypatch.setattr(Bench, "_base_seen", lambda *_: {})

    def call():
        bench = Bench(tmp_path, Plan(contenders={"none": ("--transfer", "none")}), registry)
        return bench.score(Cell("ugatit", "none", 0, folder, ()))

    return call


@pytest.mark.parametrize("first", [1.0, float("nan")])
def test_a_cell_is_scored_again_when_weights_have_come_and_only_then(scored, first):
    WEIGHTS["here"], VALUE["last"] = False, first
    for _ in range(2):
        (result,) = scored()
        assert result.scores["kid"]["late"].note == "The weights of late are missing."
    WEIGHTS["here"] = True
    (result,) = scored()
    assert result.scores["kid"]["late"].value == (1.0 if first == 1.0 else None)
    VALUE["last"] = 2.0
    assert scored() == [result], "what is scored stays"


@pytest.mark.parametrize("options", ["--transfer branch", "--transfer=branch", "--transfer none --transfer=branch"])
def test_the_transfer_of_a_contender(options):
    assert _transfer(options.split()) == "branch"


@pytest.mark.parametrize("options", ["", "--transfer", "--transfer=", "--ema 0.9"])
def test_a_contender_without_a_transfer(options):
    with refused(ConfigError, "--transfer NAME"):
        _transfer(options.split())
