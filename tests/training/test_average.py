from __future__ import annotations

import pytest
import torch
from torch import nn

import i2i
from i2i.config.options import merge
from i2i.contracts.branches import branch
from i2i.errors import ConfigError
from i2i.hooks import hookimpl
from i2i.models.description import read_model_description
from i2i.nn.spectral import SpectralConv2d
from i2i.runs.listeners.samples import SampleGrids
from i2i.runs.run import Run, Stopped, create_run
from i2i.storage import tensor_file
from i2i.training.average import Average, warmed_up
from tests.wording import refused

FILES = ("base.safetensors", "model.safetensors")


def test_the_half_life_is_a_twentieth_of_the_steps_done_until_the_decay_is_reached():
    assert warmed_up(0.999, 20) == 0.5  # a half-life of one step
    assert warmed_up(0.999, 40) == pytest.approx(0.5**0.5)
    assert warmed_up(0.999, 13_000) < warmed_up(0.999, 14_000) == pytest.approx(0.999)
    assert warmed_up(0.5, 100) == pytest.approx(0.5)
    assert warmed_up(0.999, 1) == 0.5**20


def test_the_average_against_values_worked_out_by_hand():
    layer = nn.Linear(1, 1, bias=False)
    values = [4.0, 8.0, 0.0]
    nn.init.constant_(layer.weight, values[0])
    average = Average(layer, 0.75)
    for value in values[1:]:
        nn.init.constant_(layer.weight, value)
        average.update(1_000_000)
    assert average.state()["weight"].item() == pytest.approx(0.75 * (0.75 * 4 + 0.25 * 8) + 0.25 * 0)
    with average.shown():
        assert layer.weight.item() == pytest.approx(3.75)
    assert layer.weight.item() == 0.0


def test_the_weights_come_back_also_after_an_error():
    layer = nn.Linear(2, 2)
    average = Average(layer, 0.9)
    nn.init.ones_(layer.weight)
    with pytest.raises(KeyError), average.shown():
        raise KeyError
    assert torch.equal(layer.weight, torch.ones(2, 2))


def test_buffers_are_copied_not_averaged():
    layer = SpectralConv2d(2, 2, 3)
    average = Average(layer, 0.9)
    layer(torch.rand(1, 2, 8, 8))  # a power iteration replaces u and v
    average.update(1_000_000)
    state = average.state()
    assert torch.equal(state["u"], layer.u)
    assert torch.equal(state["v"], layer.v)
    with average.shown():
        assert torch.equal(layer.u, state["u"])


def test_what_does_not_learn_keeps_its_bits():
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3))
    branch(network, ("0",), "woman", ["man"])
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    average = Average(network, 0.999)
    for step in range(1, 30):
        with torch.no_grad():
            network[0].branches["man"].weight.add_(0.1)
        average.update(step)
    moved = [name for name, tensor in average.state().items() if not torch.equal(tensor, before[name])]
    assert moved == ["0.branches.man.weight"]


def test_layers_that_two_networks_share_stay_shared():
    shared = nn.Linear(1, 1, bias=False)
    networks = nn.ModuleDict({"a2b": nn.Sequential(shared), "b2a": nn.Sequential(shared)})
    nn.init.constant_(shared.weight, 1.0)
    average = Average(networks, 0.5)
    nn.init.constant_(shared.weight, 2.0)
    average.update(1_000_000)
    assert [tensor.item() for tensor in average.state().values()] == [1.5, 1.5]
    with average.shown():
        assert shared.weight.item() == 1.5
    assert shared.weight.item() == 2.0


class Recorder:
    """Keeps what the generators were after each step, and when scores were taken."""

    def __init__(self):
        self.raw, self.scored = [], {}

    @hookimpl
    def on_step(self, run):
        self.raw.append(weights(run))

    @hookimpl
    def on_evaluate(self, run):
        self.scored[run.stage] = weights(run)


def weights(run):
    return {name: tensor.clone() for name, tensor in run.model.backbone.generators.state_dict().items()}


@pytest.fixture
def given(tiny):
    return merge(tiny, {"backbone": {"name": "cyclegan"}, "steps": 4, "transfer_steps": 3, "ema": 0.9})


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_training_goes_on_from_the_raw_weights(tmp_path, given, registry):
    runs = {}
    for name, ema in (("averaged", 0.9), ("raw", 0.0)):
        runs[name] = Recorder()
        create_run(tmp_path / name, {**given, "ema": ema, "stages": ["base"]}, registry).execute([runs[name]])
    assert all(equal(*pair) for pair in zip(runs["averaged"].raw, runs["raw"].raw, strict=True))
    averaged, raw = (tensor_file.read(tmp_path / name / FILES[0])[0] for name in ("averaged", "raw"))
    differing = {name for name in raw if not torch.equal(raw[name], averaged[name])}
    assert differing
    assert all(name.startswith("generators.") for name in differing)


def test_the_saved_and_scored_generators_are_the_average_of_all_steps(tmp_path, given, registry):
    recorder = Recorder()
    create_run(tmp_path / "run", {**given, "stages": ["base"]}, registry).execute([recorder])
    expected = recorder.raw[0]  # after the first step all but a millionth of the start is forgotten
    for step, raw in enumerate(recorder.raw[1:], start=2):
        share = 1 - warmed_up(0.9, step)
        expected = {name: old + share * (raw[name] - old) for name, old in expected.items()}
    saved = i2i.load(tmp_path / "run").backbone.generators.state_dict()
    for name, tensor in saved.items():
        torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-5)
    assert equal(recorder.scored["base"], saved)


@pytest.mark.full
def test_a_resumed_run_ends_with_the_same_bytes(tmp_path, given, registry):
    given = merge(given, {"backbone": {"name": "ugatit"}, "steps": 3, "transfer_steps": 2})
    create_run(tmp_path / "whole", given, registry).execute([SampleGrids()])
    run = create_run(tmp_path / "parts", {**given, "sample_every": 1}, registry)
    for stop in (2, 4):
        with pytest.raises(Stopped):
            run.execute([SampleGrids()], stop_after=stop)
        run = Run(tmp_path / "parts", registry)
    run.execute([SampleGrids()])
    for name in FILES:
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_model_remembers_the_small_data_options(tmp_path, given, registry):
    options = {"ema": 0.9, "augment": "ada", "ada_target": 0.5, "ada_rise": 0.1, "flip": False, "crop_margin": 1.25}
    create_run(tmp_path / "run", {**given, **options, "steps": 1, "stages": ["base"]}, registry).execute()
    told = read_model_description(tmp_path / "run" / FILES[0]).config.content()
    assert {name: told[name] for name in options} == options


def test_grids_show_the_average(tmp_path, given, registry):
    for name, ema in (("averaged", 0.9), ("raw", 0.0)):
        create_run(tmp_path / name, {**given, "ema": ema, "stages": ["base"]}, registry).execute([SampleGrids()])
    final = [(tmp_path / "averaged" / "samples" / f"{name}.png").read_bytes() for name in ("base-000004", "base")]
    raw = (tmp_path / "raw" / "samples" / "base-000004.png").read_bytes()
    assert final[0] == final[1] != raw


@pytest.mark.parametrize("value", [1, -0.1])
def test_a_decay_out_of_range_is_refused(tmp_path, given, registry, value):
    with refused(ConfigError, "ema", value):
        create_run(tmp_path / "run", {**given, "ema": value}, registry)
