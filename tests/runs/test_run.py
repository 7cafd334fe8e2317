"""Whole runs: what lands in the folder, equal seeds, and going on after a stop, to the byte."""

from __future__ import annotations

import json
import os
import signal

import pytest
import torch
from PIL import Image

import i2i
from i2i import report
from i2i.config.options import merge
from i2i.errors import CheckpointError, ConfigError, DataError, TrainingError
from i2i.hooks import hookimpl
from i2i.models import checkpoint
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.listeners.samples import SampleGrids
from i2i.runs.run import Run, Stopped, create_run
from i2i.runs.state import StateDescription
from i2i.storage import tensor_file
from i2i.storage.locks import locked
from i2i.storage.tensor_file import read_description
from i2i.storage.toml import read_toml
from tests.sampling import sampled
from tests.wording import check, refused

FILES = ("base.safetensors", "model.safetensors")


@pytest.fixture(scope="module", params=sampled("cyclegan", "ugatit"))
def given(request, tiny):
    return merge(tiny, {"backbone": {"name": request.param}, "steps": 4, "transfer_steps": 3, "checkpoint_every": 2})


@pytest.fixture(scope="module")
def whole(tmp_path_factory, given, registry):
    """What a run of that configuration leaves that nobody stops; read it, never write to it."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    create_run(folder, given, registry).execute(listeners())
    return folder


@pytest.fixture(scope="module")
def quick(tiny):
    """That configuration of the backbone of which steps take least; never change it."""
    return merge(tiny, {"backbone": {"name": "cyclegan"}, "steps": 4, "transfer_steps": 3, "checkpoint_every": 2})


@pytest.fixture(scope="module")
def base(tmp_path_factory, quick, registry):
    """The model of a base stage; read it, never write to it."""
    folder = tmp_path_factory.mktemp("base") / "run"
    create_run(folder, {**quick, "stages": ["base"]}, registry).execute()
    return folder / FILES[0]


def listeners():
    return [report.Reporter(), MetricsFile(), SampleGrids()]


def written(folder, name):
    """Return what a file of a run holds; of the metrics without seconds, which are never the same twice."""
    if name != "metrics.jsonl":
        return (folder / name).read_bytes()
    entries = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in entries]


def test_a_run_leaves_everything_the_design_names(tmp_path, tiny, registry):
    create_run(tmp_path / "run", tiny, registry).execute(listeners())
    names = {p.name for p in (tmp_path / "run").iterdir()}
    folders, tables = {"samples", "groups"}, {"metrics.jsonl", "losses.csv", "scores.csv"}
    assert names == {"run.toml", *FILES, "state.safetensors", "report.html", *folders, *tables}
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(e["stage"], e["step"]) for e in entries if "losses" in e] == [
        *(("base", step) for step in (1, 2, 3)),
        *(("transfer", step) for step in (1, 2)),
    ]
    grids = {p.name for p in (tmp_path / "run" / "samples").iterdir()}
    assert grids == {"base-000003.png", "base.png", "transfer-000002.png", "transfer.png"}
    with Image.open(tmp_path / "run" / "samples" / "transfer.png") as grid:
        assert grid.size == (130 + 2 * 100, 3 * (30 + 4 * 100) + 4)  # two held-out images; three groups of four rows


def test_models_are_kept_on_the_way(tmp_path, quick, registry):
    given = merge(quick, {"keep_every": 2, "ema": 0.5})
    run = create_run(tmp_path / "kept", given, registry)
    run.execute([MetricsFile()])
    kept = {path.name: path for path in (tmp_path / "kept" / "steps").iterdir()}
    assert kept.keys() == {"base-000002.safetensors", "base-000004.safetensors", "transfer-000002.safetensors"}
    assert kept["base-000004.safetensors"].read_bytes() == (tmp_path / "kept" / "base.safetensors").read_bytes()
    assert checkpoint.load(kept["transfer-000002.safetensors"], registry).groups == ("woman", "kid", "man")
    create_run(tmp_path / "plain", merge(quick, {"ema": 0.5}), registry).execute()
    assert all((tmp_path / "plain" / f).read_bytes() == (tmp_path / "kept" / f).read_bytes() for f in FILES)


def test_the_metrics_file_counts_images_of_each_group_and_seconds(tmp_path, quick, registry):
    run = create_run(tmp_path / "run", quick, registry)
    run.execute([MetricsFile()])
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    seen = {(e["stage"], e["step"]): e["seen"] for e in entries if "seen" in e}
    assert all(0 < entry["seconds"] < 60 for entry in entries if "seen" in entry)
    assert seen["base", 4] == {"woman": 8}
    assert seen["transfer", 1] == {"woman": 2, "man": 2, "kid": 2}
    assert seen["transfer", 3] == run.seen == {"woman": 6, "man": 6, "kid": 6}


def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not(tmp_path, given, registry, whole):
    for name, seed in (("again", 0), ("other", 6)):
        create_run(tmp_path / name, {**given, "seed": seed}, registry).execute()
    folders = (whole, tmp_path / "again", tmp_path / "other")
    first, again, other = ([(folder / f).read_bytes() for f in FILES] for folder in folders)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


@pytest.mark.parametrize("stops", sampled([2, 3, 6], [1], [4]))
def test_stopped_and_resumed_ends_with_the_same_bytes(tmp_path, given, registry, whole, stops):
    run = create_run(tmp_path / "parts", given, registry)
    for stop in stops:
        with pytest.raises(Stopped):
            run.execute(listeners(), stop_after=stop)
        run = Run(tmp_path / "parts", registry)
    run.execute(listeners())
    for name in (*FILES, "metrics.jsonl"):
        assert written(tmp_path / "parts", name) == written(whole, name), name


def test_with_muon_it_resumes_with_the_same_bytes_too(tmp_path, quick, registry):
    given = merge(quick, {"backbone": {"optimizer": "muon"}})
    create_run(tmp_path / "whole", given, registry).execute(listeners())
    for stop in (2, 6):
        with pytest.raises(Stopped):
            create_run(tmp_path / f"{stop}", given, registry).execute(listeners(), stop_after=stop)
        Run(tmp_path / f"{stop}", registry).execute(listeners())
        for name in (*FILES, "metrics.jsonl"):
            assert written(tmp_path / f"{stop}", name) == written(tmp_path / "whole", name), name


def test_watching_does_not_disturb_training(tmp_path, given, registry, whole):
    """Looked at after every step it is as `whole`, which equals one that nobody looks at (the test of equal seeds)."""
    create_run(tmp_path / "watched", {**given, "sample_every": 1}, registry).execute(listeners())
    for name in FILES:
        assert (tmp_path / "watched" / name).read_bytes() == (whole / name).read_bytes()


def test_a_resumed_run_takes_the_threads_that_the_stopped_one_settled_on(tmp_path, given, registry):
    run, said = create_run(tmp_path / "run", {**given, "stages": ["base"], "steps": 8}, registry), []
    run.engine.thread_counts = (1, 2)
    with pytest.raises(Stopped):
        run.execute(stop_after=7, say=said.append)
    state = StateDescription.of(read_description(tmp_path / "run" / "state.safetensors"), tmp_path)
    assert said[0].startswith(f"CPU threads: {state.threads} (")
    assert state.thread_schedule[:2] == ((0, 1), (3, 2))
    assert torch.get_num_threads() == 1, "put back"
    run = Run(tmp_path / "run", registry)
    run.engine.thread_counts = (1, 2)
    run.execute(say=said.append)
    assert len(said) == 1
    resumed = StateDescription.of(read_description(tmp_path / "run" / "state.safetensors"), tmp_path)
    assert (resumed.threads, resumed.thread_schedule) == (state.threads, state.thread_schedule)


@pytest.mark.parametrize("number", sampled(signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
def test_a_signal_saves_after_the_step_at_hand(tmp_path, given, registry, whole, number):
    run = create_run(tmp_path / "run", given, registry)
    handler = signal.getsignal(number)
    with pytest.raises(Stopped) as stop:
        run.execute([Sender(number)])
    assert (run.step, stop.value.signal, signal.getsignal(number)) == (3, number, handler)
    Run(tmp_path / "run", registry).execute()
    assert (tmp_path / "run" / FILES[1]).read_bytes() == (whole / FILES[1]).read_bytes()


def test_a_closed_terminal_stops_no_run_under_nohup(tmp_path, given, registry):
    run = create_run(tmp_path / "run", {**given, "stages": ["base"]}, registry)
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run.execute([Sender(signal.SIGHUP)])
    finally:
        signal.signal(signal.SIGHUP, handler)
    assert run.step == run.steps


class Sender:
    """Sends this process a signal in the third step."""

    def __init__(self, number):
        self.number = number

    @hookimpl
    def on_step(self, run, step):
        if (run.stage, step) == ("base", 3):
            os.kill(os.getpid(), self.number)


def test_a_crash_goes_on_from_the_last_checkpoint(tmp_path, given, registry, whole):
    class Crash:
        @hookimpl
        def on_step(self, run, step):
            if (run.stage, step) == ("base", 3):
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        create_run(tmp_path / "run", given, registry).execute([MetricsFile(), Crash()])
    Run(tmp_path / "run", registry).execute(listeners())
    for name in (*FILES, "metrics.jsonl"):
        assert written(tmp_path / "run", name) == written(whole, name)


@pytest.mark.parametrize("stage", ["base", "transfer"])
def test_a_crash_while_evaluating_is_made_good(tmp_path, given, registry, whole, stage):
    class Crash:
        @hookimpl(tryfirst=True)
        def on_evaluate(self, run):
            if run.stage == stage:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        create_run(tmp_path / "run", given, registry).execute([*listeners(), Crash()])
    Run(tmp_path / "run", registry).execute(listeners())
    for name in (*FILES, "metrics.jsonl", "samples/transfer.png"):
        assert written(tmp_path / "run", name) == written(whole, name)


def test_a_metrics_line_cut_by_a_kill_is_dropped(tmp_path, given, registry):
    run = create_run(tmp_path / "run", given, registry)
    with pytest.raises(Stopped):
        run.execute(listeners(), stop_after=2)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "ba')
    run.execute(listeners())
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "losses" in entry] == [1, 2, 3, 4, 1, 2, 3]


def test_the_two_stages_apart_equal_one_run(tmp_path, given, registry, whole):
    create_run(tmp_path / "base", {**given, "stages": ["base"]}, registry).execute()
    apart = {**given, "stages": ["transfer"], "base_model": str(tmp_path / "base" / FILES[0])}
    create_run(tmp_path / "apart", apart, registry).execute()
    assert (tmp_path / "apart" / FILES[1]).read_bytes() == (whole / FILES[1]).read_bytes()


def test_transfer_none_serves_every_group_with_the_base_model(tmp_path, tiny, registry):

    create_run(tmp_path / "run", {**tiny, "transfer": {"name": "none"}}, registry).execute()
    model = i2i.load(tmp_path / "run")
    x = torch.rand(1, 3, 32, 32)
    assert model.groups == ("woman", "kid", "man")
    assert torch.equal(model.translate(x, "kid"), model.translate(x, "woman"))
    assert i2i.load(tmp_path / "run" / "base.safetensors").groups == ("woman",)


class TestStart:
    """Training from an existing model."""

    def test_without_a_step_it_is_that_model(self, tmp_path, quick, registry, base):
        create_run(tmp_path / "more", {**quick, "steps": 0, "seed": 9, "base_model": str(base)}, registry).execute()
        old, new = (tensor_file.read(path)[0] for path in (base, tmp_path / "more" / FILES[0]))
        assert old.keys() == new.keys()
        assert all(torch.equal(old[name], new[name]) for name in old)
        assert i2i.load(tmp_path / "more").groups == ("woman", "kid", "man")

    @pytest.mark.parametrize("stop", sampled(5, 1))
    def test_stopped_and_resumed_ends_with_the_same_bytes(self, tmp_path, quick, registry, base, stop):
        given = {**quick, "base_model": str(base)}
        create_run(tmp_path / "whole", given, registry).execute(listeners())
        with pytest.raises(Stopped):
            create_run(tmp_path / "parts", given, registry).execute(listeners(), stop_after=stop)
        Run(tmp_path / "parts", registry).execute(listeners())
        for name in (*FILES, "metrics.jsonl", "samples/transfer.png"):
            assert written(tmp_path / "parts", name) == written(tmp_path / "whole", name), name
        assert (tmp_path / "whole" / FILES[0]).read_bytes() != base.read_bytes()

    def test_options_of_the_run_count(self, tmp_path, quick, registry, base):
        still = merge(quick, {"base_model": str(base), "stages": ["transfer"], "backbone": {"lr": 1e-12}})
        create_run(tmp_path / "still", still, registry).execute()
        x = torch.rand(1, 3, 32, 32)
        torch.testing.assert_close(i2i.load(tmp_path / "still").translate(x), i2i.load(base).translate(x))

    @pytest.mark.parametrize("judge", sampled("classification", "branched"))
    def test_a_model_with_groups_goes_on(self, tmp_path, quick, registry, base, judge):
        given = {**quick, "stages": ["transfer"], "transfer": {"judge": judge}}
        create_run(tmp_path / "groups", {**given, "base_model": str(base)}, registry).execute()
        start = tmp_path / "groups" / FILES[1]
        given = {**given, "base_model": str(start)}
        create_run(tmp_path / "whole", given, registry).execute(listeners())
        with pytest.raises(Stopped):
            create_run(tmp_path / "parts", given, registry).execute(listeners(), stop_after=1)
        Run(tmp_path / "parts", registry).execute(listeners())
        whole = (tmp_path / "whole" / FILES[1]).read_bytes()
        assert (tmp_path / "parts" / FILES[1]).read_bytes() == whole != start.read_bytes()
        assert i2i.load(tmp_path / "whole").groups == i2i.load(start).groups

    def test_a_model_made_without_groups_takes_the_base_of_the_data(self, tmp_path, quick, registry, base):
        tensors, about = tensor_file.read(base)
        tensor_file.write(tmp_path / "all.safetensors", tensors, {**about, "base": "all"})
        for name, file in {"named": base, "nameless": tmp_path / "all.safetensors"}.items():
            apart = {**quick, "stages": ["transfer"], "base_model": str(file)}
            create_run(tmp_path / name, apart, registry).execute()
        named, nameless = ((tmp_path / name / FILES[1]).read_bytes() for name in ("named", "nameless"))
        assert named == nameless

    def test_weights_that_are_not_finite_are_refused(self, tmp_path, quick, registry, base):
        tensors, about = tensor_file.read(base)
        name = next(name for name in tensors if tensors[name].is_floating_point())
        tensor_file.write(tmp_path / "bad.safetensors", {**tensors, name: tensors[name] * float("nan")}, about)
        with refused(CheckpointError, name):
            create_run(tmp_path / "run", {**quick, "base_model": str(tmp_path / "bad.safetensors")}, registry)
        assert not (tmp_path / "run").exists()


class TestMachine:
    def test_is_in_run_toml_and_no_option(self, tmp_path, tiny, registry):
        run = create_run(tmp_path / "run", tiny, registry)
        machine = read_toml(tmp_path / "run" / "run.toml")["machine"]
        assert machine == run.engine.describe()
        assert (machine["device"], machine["threads"], machine["torch"]) == ("cpu", 1, torch.__version__)
        assert machine["processor"]
        assert run.changes == ""

    def test_another_one_is_told(self, tmp_path, tiny, registry):
        create_run(tmp_path / "run", tiny, registry)
        torch.set_num_threads(2)
        try:
            check(Run(tmp_path / "run", registry).changes, "threads", 2, 1)
        finally:
            torch.set_num_threads(1)


class Spoiler:
    """Makes a weight infinite after a step."""

    def __init__(self, step):
        self.step = step

    @hookimpl
    def on_step(self, run, step):
        if (run.stage, step) == ("base", self.step):
            with torch.no_grad():
                next(run.model.backbone.generators.parameters()).view(-1)[0] = float("inf")


class TestNumbersThatAreNotFinite:
    @pytest.mark.parametrize(("spoilt", "saved"), [(1, "'base'"), (4, "step 2"), (3, "step 2")])
    def test_leave_the_last_good_state(self, tmp_path, quick, registry, spoilt, saved):
        run = create_run(tmp_path / "run", {**quick, "steps": 6}, registry)
        with refused(TrainingError, saved, "[backbone]", f"{tmp_path}/run/run.toml", f"--resume {tmp_path}/run"):
            run.execute([Spoiler(spoilt)])
        state = tmp_path / "run" / "state.safetensors"
        assert state.exists() == (saved == "step 2")
        if state.exists():
            tensors, content = tensor_file.read(state)
            assert content["done"] == 2
            assert all(tensor.isfinite().all() for tensor in tensors.values())

    def test_are_named_where_no_loss_shows_them(self, tmp_path, quick, registry):
        run = create_run(tmp_path / "run", quick, registry)
        with refused(TrainingError, "Step 4", "weights/", "--resume"):
            run.execute([Spoiler(4)])
        assert not (tmp_path / "run" / FILES[0]).exists()

    def test_the_way_on_works(self, tmp_path, given, registry, whole):
        with pytest.raises(TrainingError):
            create_run(tmp_path / "run", given, registry).execute([Spoiler(3)])
        Run(tmp_path / "run", registry).execute()
        assert (tmp_path / "run" / FILES[1]).read_bytes() == (whole / FILES[1]).read_bytes()


@pytest.mark.parametrize("vanishing", ["", "run.lock"])
@pytest.mark.parametrize(("event", "when"), [("on_step", 3), ("on_step", 4), ("on_evaluate", 4)])
def test_a_folder_or_lock_that_vanishes_stops_the_run(tmp_path, quick, registry, vanishing, event, when):
    folder, left = tmp_path / "run", []

    def move(self, run, step):
        if step == when:
            (folder / vanishing).rename(tmp_path / "moved")
            left.extend(written_in(tmp_path))

    mover = type("Mover", (), {event: hookimpl(trylast=True)(move)})()
    with refused(DataError, folder / vanishing, "resume"):
        create_run(folder, quick, registry).execute([*listeners(), mover])
    assert written_in(tmp_path) == left


def written_in(folder):
    """Return the files in a folder, except the reports, which may be written at the end of a stopped run."""
    tables = {"report.html", "losses.csv", "scores.csv"}
    return sorted(path for path in folder.rglob("*") if path.name not in tables)


def test_two_in_one_folder_are_refused(tmp_path, tiny, registry):
    run = create_run(tmp_path / "run", tiny, registry)
    with locked(tmp_path / "run" / "run.lock"):
        with refused(ConfigError, f"{tmp_path}/run", f"process {os.getpid()}"):
            run.execute()
        with refused(ConfigError, f"{tmp_path}/run", f"process {os.getpid()}"):
            create_run(tmp_path / "run", tiny, registry, overwrite=True)
        assert (tmp_path / "run" / "run.toml").exists()
    run.execute()
