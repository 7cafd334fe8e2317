from __future__ import annotations

import json

import pytest
import torch

import i2i
from i2i.config.options import merge
from i2i.config.run import RunConfig
from i2i.contracts.dataset import Dataset
from i2i.contracts.metric import Metric, Score
from i2i.contracts.scores import Judgement
from i2i.errors import ConfigError, WeightsError
from i2i.evaluation.best import Best, check_evaluation, decider
from i2i.evaluation.scoring import Evaluation
from i2i.hooks import hookimpl
from i2i.registry.registry import Registry
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.listeners.samples import SampleGrids
from i2i.runs.run import Run, Stopped, create_run
from i2i.storage import tensor_file
from tests.sampling import sampled
from tests.wording import refused

BEST = "best.safetensors"


class Brightness(Metric):
    """Mean brightness of the translations, and random numbers for nothing."""

    name = "brightness"
    fewest_real = 1

    def prepare(self, pretrained, device):
        super().prepare(pretrained, device)
        torch.rand(1)

    def score(self, case):
        torch.rand(1)
        value = case.fake.whole().mean().item()
        return Score(value, value, value, len(case.fake))


class Scripted(Metric):
    """Says what it is told, one value an evaluation, of every group of a folder with three."""

    name = "scripted"
    values = []

    def score(self, case):
        if case.fake is not case.source and not case.fake.key and case.group == "woman":
            Scripted.at = Scripted.values.pop(0)
        return Score(Scripted.at, Scripted.at, Scripted.at, len(case.fake))


class Weightless(Metric):
    name = "weightless"

    def prepare(self, pretrained, device):
        raise WeightsError("The weights of Eye are nowhere. Get them.")

    def score(self, case):
        raise NotImplementedError


class Provider:
    @hookimpl
    def register_metrics(self):
        return [Brightness, Scripted, Weightless]


@pytest.fixture(scope="module")
def registry():
    registry = Registry()
    registry.add(Provider(), "provider")
    return registry


@pytest.fixture
def given(tiny):
    evaluate = {"every": 1, "best": "brightness", "metrics": ["brightness"]}
    short = {"backbone": {"name": "cyclegan"}, "steps": 3, "transfer_steps": 3, "evaluate": evaluate}
    return merge(tiny, short)


@pytest.fixture
def scripted(given):
    """A configuration of one stage whose scores are scripted."""
    evaluate = {"best": "scripted", "metrics": ["scripted"]}
    return merge(given, {"stages": ["base"], "evaluate": evaluate})


def said(folder):
    return tensor_file.read_description(folder / BEST)["best"]


def lines(folder):
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [entry for entry in entries if "scores" in entry]


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_evaluating_does_not_disturb_training(tmp_path, given, registry, ema):
    given = {**given, "ema": ema, "augment": "diffaugment"}  # which draws random numbers while it trains
    create_run(tmp_path / "watched", given, registry).execute([MetricsFile(), SampleGrids()])
    create_run(tmp_path / "alone", {**given, "evaluate": {"metrics": ["l1"]}}, registry).execute()
    for name in ("base.safetensors", "model.safetensors"):
        assert (tmp_path / "watched" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert (tmp_path / "watched" / BEST).exists()
    assert not (tmp_path / "alone" / BEST).exists()


def test_every_evaluation_is_a_line_with_the_mean_over_groups(tmp_path, given, registry):
    create_run(tmp_path / "run", merge(given, {"evaluate": {"every": 2}}), registry).execute([MetricsFile()])
    found = lines(tmp_path / "run")
    assert [(entry["stage"], entry["step"]) for entry in found] == [
        ("base", 2), ("base", 3), ("transfer", 2), ("transfer", 3)
    ]  # fmt: skip
    assert [set(entry["scores"]) for entry in found] == [{"woman"}, *[{"woman", "man", "kid"}] * 3]
    values = [own["brightness"]["value"] for own in found[-1]["scores"].values()]
    assert found[-1]["overall"]["brightness"]["value"] == pytest.approx(sum(values) / 3)
    assert found[0]["overall"]["brightness"]["value"] == found[0]["scores"]["woman"]["brightness"]["value"]


def test_grids_of_results_are_drawn_at_the_end_alone(tmp_path, given, registry):
    drawn = []

    class Watcher:
        @hookimpl(trylast=True)
        def on_evaluate(self, run, step):
            drawn.append((step, (run.folder / "samples" / "base.png").exists()))

    create_run(tmp_path / "run", {**given, "stages": ["base"]}, registry).execute([SampleGrids(), Watcher()])
    assert drawn == [(1, False), (2, False), (3, True)]


@pytest.mark.parametrize(
    ("higher", "values", "step"), [(False, [0.5, 0.2, 0.3], 2), (True, [0.5, 0.2, 0.4], 1), (False, [0.1, 0.1, 0.1], 1)]
)
def test_the_best_model_is_kept(tmp_path, scripted, registry, monkeypatch, higher, values, step):
    monkeypatch.setattr(Scripted, "values", list(values))
    monkeypatch.setattr(Scripted, "higher_is_better", higher)
    given = {**scripted, "keep_every": 1, "ema": 0.5}
    create_run(tmp_path / "run", given, registry).execute()
    assert said(tmp_path / "run") == {
        "stage": "base", "step": step, "metric": "scripted", "value": values[step - 1], "higher_is_better": higher,
        "groups": ["woman"],
    }  # fmt: skip
    best, kept = (tensor_file.read(tmp_path / "run" / name)[0] for name in (BEST, f"steps/base-{step:06d}.safetensors"))
    assert all(torch.equal(best[name], kept[name]) for name in best | kept)


def test_a_model_that_lacks_a_score_is_not_the_best(tmp_path, scripted, registry, monkeypatch):
    monkeypatch.setattr(Scripted, "values", [0.5, float("nan"), 0.7])
    create_run(tmp_path / "run", scripted, registry).execute()
    assert said(tmp_path / "run")["step"] == 1


def test_the_best_model_is_a_model(tmp_path, given, registry):
    create_run(tmp_path / "run", given, registry).execute()
    assert said(tmp_path / "run")["stage"] == "transfer"
    model = i2i.load(tmp_path / "run" / BEST)
    assert model.groups == ("woman", "kid", "man")
    assert model.translate(torch.zeros(1, 3, 32, 32), "kid").isfinite().all()


@pytest.mark.parametrize("stop", sampled(5, 1))
def test_stopped_and_resumed_keeps_the_same(tmp_path, given, registry, stop):
    create_run(tmp_path / "whole", given, registry).execute([MetricsFile()])
    with pytest.raises(Stopped):
        create_run(tmp_path / "parts", given, registry).execute([MetricsFile()], stop_after=stop)
    Run(tmp_path / "parts", registry).execute([MetricsFile()])
    assert lines(tmp_path / "parts") == lines(tmp_path / "whole")
    assert (tmp_path / "parts" / BEST).read_bytes() == (tmp_path / "whole" / BEST).read_bytes()


def test_a_resumed_run_knows_the_best_so_far(tmp_path, scripted, registry, monkeypatch):
    monkeypatch.setattr(Scripted, "values", [0.2, 0.5, 0.3])
    with pytest.raises(Stopped):
        create_run(tmp_path / "run", scripted, registry).execute(stop_after=1)
    Run(tmp_path / "run", registry).execute()
    assert said(tmp_path / "run")["step"] == 1


@pytest.mark.parametrize(("stage", "metric"), [("transfer", "brightness"), ("base", "l1")])
def test_what_another_stage_or_metric_found_does_not_count(tmp_path, stage, metric):
    about = {"best": {"stage": "base", "metric": "brightness", "value": 0.1}}
    tensor_file.write(tmp_path / BEST, {"x": torch.zeros(1)}, about)
    assert Best(tmp_path / BEST, stage, metric, ["woman"]).value is None
    assert Best(tmp_path / BEST, "base", "brightness", ["woman"]).value == 0.1


def test_a_group_without_a_score_leaves_no_mean(tmp_path):
    best = Best(tmp_path / BEST, "base", "l1", ["woman", "kid"])
    scores = {"woman": {"l1": Judgement(0.1, 0.1, 0.1, 3)}, "kid": {"l1": Judgement(note="n too small")}}
    assert not best.offer(None, 1, scores)  # type: ignore[arg-type]
    assert best.value is None


class Fake(Dataset):
    """A data set that knows names alone."""

    name = "fake"
    groups = ("woman", "kid")
    base = "woman"

    def __init__(self, held_out=()):
        self.held_out = held_out

    def train(self, group, domain):
        return []

    def test(self, group, domain):
        return self.held_out


class TestDecider:
    CPU = torch.device("cpu")

    def resolve(self, able, named=None, metrics=None):
        """Choose where ``able`` tells which groups a metric can score."""

        class Known:
            def __init__(self):
                self.metrics = metrics or ("kernel", "l1", "lpips")

            def obstacle(self, name, group, size, device):
                return "" if group in able.get(name, ()) else f"{name} cannot score {group}."

        return decider(Known(), ["woman", "kid"], 32, self.CPU, named)  # type: ignore[arg-type]

    def test_is_the_first_that_can_score_every_group(self):
        every = ("woman", "kid")
        assert self.resolve({"l1": every, "kernel": every, "lpips": every}) == ("lpips", ["woman", "kid"])
        assert self.resolve({"l1": every, "kernel": every}) == ("kernel", ["woman", "kid"])
        assert self.resolve({"l1": every, "kernel": ["woman"], "lpips": ["kid"]}) == ("l1", ["woman", "kid"])

    def test_is_the_one_that_can_score_the_most_groups(self):
        assert self.resolve({"kernel": ["kid"]}) == ("kernel", ["kid"])

    def test_is_another_where_none_of_these_is_asked_for(self):
        assert self.resolve({"ssim": ["woman", "kid"]}, metrics=("ssim",)) == ("ssim", ["woman", "kid"])

    def test_is_what_the_user_names(self):
        assert self.resolve({"l1": ["woman"], "lpips": ["woman", "kid"]}, "l1") == ("l1", ["woman"])

    def test_must_be_there(self):
        with refused(ConfigError, "l1", "woman", "kid", "ssim", "--evaluate.best", "--evaluate.every"):
            self.resolve({}, metrics=("l1", "ssim"))
        with refused(ConfigError, "--evaluate.best lpips", "woman", "kid"):
            self.resolve({}, "lpips")
        with refused(ConfigError, "--evaluate.best lpips", "ssim"):
            self.resolve({}, "lpips", ("ssim",))

    def test_needs_held_out_images(self, registry):
        with refused(ConfigError, "'woman'", "'kid'"):
            decider(Evaluation(Fake(), registry, ["l1"]), ["woman", "kid"], 32, self.CPU, "l1")


class TestCheckEvaluation:
    """What is refused before anything is trained."""

    def check(self, registry, **asked):
        check_evaluation(RunConfig(evaluate=asked), Fake(), registry, torch.device("cpu"))

    def test_a_best_model_of_one_evaluation(self, registry):
        with refused(ConfigError, "--evaluate.best l1", "--evaluate.every 100"):
            self.check(registry, best="l1")

    def test_a_metric_without_weights(self, registry):
        with refused(WeightsError, "Eye"):
            self.check(registry, metrics=["weightless"])

    def test_a_best_model_by_what_has_no_weights(self, tmp_path, tiny, registry):
        given = {**tiny, "evaluate": {"every": 2, "best": "weightless"}}
        with refused(ConfigError, "--evaluate.best weightless", "Eye"):
            create_run(tmp_path / "run", given, registry)
        assert not (tmp_path / "run").exists()

    def test_no_held_out_images(self, registry):
        with refused(ConfigError, "--evaluate.every 5", "testA", "trainA"):
            self.check(registry, every=5)

    def test_nothing_where_nobody_asked(self, registry):
        self.check(registry)
