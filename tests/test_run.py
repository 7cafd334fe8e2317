"""Whole runs: what lands in the folder, equal seeds, and going on after a stop, to the byte."""

from __future__ import annotations

import json
import os
import signal

import pytest
from PIL import Image

from i2i import report
from i2i.config import merge
from i2i.hookspecs import hookimpl
from i2i.listeners import MetricsFile, SampleGrids
from i2i.run import Run, Stopped, create

FILES = ("base.safetensors", "model.safetensors")


@pytest.fixture(params=["ugatit", "cyclegan"])
def given(request, tiny):
    return merge(tiny, {"backbone": {"name": request.param}, "steps": 4, "transfer_steps": 3, "checkpoint_every": 2})


def listeners():
    return [report.Reporter(), MetricsFile(), SampleGrids()]


def test_a_run_leaves_everything_the_design_names(tmp_path, tiny, registry):
    create(tmp_path / "run", tiny, registry).execute(listeners())
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {"run.toml", *FILES, "state.safetensors", "metrics.jsonl", "samples", "report.html"}
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(e["stage"], e["step"]) for e in entries if "losses" in e] == [
        *(("base", step) for step in (1, 2, 3)),
        *(("transfer", step) for step in (1, 2)),
    ]
    grids = {p.name for p in (tmp_path / "run" / "samples").iterdir()}
    assert grids == {"base-000003.png", "base.png", "transfer-000002.png", "transfer.png"}
    with Image.open(tmp_path / "run" / "samples" / "transfer.png") as grid:
        assert grid.size == (130 + 2 * 100, 3 * (30 + 3 * 100) + 4)  # two held-out images; three groups of three rows


def test_the_report_is_one_offline_page(tmp_path, tiny, registry):
    create(tmp_path / "run", tiny, registry).execute(listeners())
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<img") == 3
    assert page.count("<polyline") >= 10
    for group in ("woman", "man", "kid"):
        assert f"<td>{group}</td>" in page
    for outside in ("http:", "https:", 'src="/', "<script", "<link"):
        assert outside not in page


def test_equal_seeds_give_equal_bytes_and_other_seeds_do_not(tmp_path, given, registry):
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        create(tmp_path / name, {**given, "seed": seed}, registry).execute()
    one, two, three = ([(tmp_path / name / f).read_bytes() for f in FILES] for name in ("one", "two", "three"))
    assert one == two
    assert one[0] != three[0]
    assert one[1] != three[1]


@pytest.mark.parametrize("stops", [(1,), (4,), (2, 3, 6)])
def test_stopped_and_resumed_ends_with_the_same_bytes(tmp_path, given, registry, stops):
    create(tmp_path / "whole", given, registry).execute(listeners())
    run = create(tmp_path / "parts", given, registry)
    for stop in stops:
        with pytest.raises(Stopped):
            run.execute(listeners(), stop_after=stop)
        run = Run(tmp_path / "parts", registry)
    run.execute(listeners())
    for name in (*FILES, "metrics.jsonl"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_watching_does_not_disturb_training(tmp_path, given, registry):
    create(tmp_path / "watched", {**given, "sample_every": 1}, registry).execute(listeners())
    create(tmp_path / "alone", given, registry).execute()
    for name in FILES:
        assert (tmp_path / "watched" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_ctrl_c_saves_after_the_step_at_hand(tmp_path, given, registry):
    class Interrupter:
        @hookimpl
        def on_step(self, run, step):
            if (run.stage, step) == ("base", 3):
                os.kill(os.getpid(), signal.SIGINT)

    create(tmp_path / "whole", given, registry).execute()
    run = create(tmp_path / "run", given, registry)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped):
        run.execute([Interrupter()])
    assert (run.step, signal.getsignal(signal.SIGINT)) == (3, handler)
    Run(tmp_path / "run", registry).execute()
    assert (tmp_path / "run" / FILES[1]).read_bytes() == (tmp_path / "whole" / FILES[1]).read_bytes()


def test_a_crash_goes_on_from_the_last_checkpoint(tmp_path, given, registry):
    class Crash:
        @hookimpl
        def on_step(self, run, step):
            if (run.stage, step) == ("base", 3):
                raise RuntimeError("power cut")

    create(tmp_path / "whole", given, registry).execute(listeners())
    with pytest.raises(RuntimeError, match="power cut"):
        create(tmp_path / "run", given, registry).execute([MetricsFile(), Crash()])
    Run(tmp_path / "run", registry).execute(listeners())
    for name in (*FILES, "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("stage", ["base", "transfer"])
def test_a_crash_while_evaluating_is_made_good(tmp_path, given, registry, stage):
    class Crash:
        @hookimpl(tryfirst=True)
        def on_evaluate(self, run):
            if run.stage == stage:
                raise RuntimeError("power cut")

    create(tmp_path / "whole", given, registry).execute(listeners())
    with pytest.raises(RuntimeError, match="power cut"):
        create(tmp_path / "run", given, registry).execute([*listeners(), Crash()])
    Run(tmp_path / "run", registry).execute(listeners())
    for name in (*FILES, "metrics.jsonl", "samples/transfer.png"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_metrics_line_cut_by_a_kill_is_dropped(tmp_path, given, registry):
    run = create(tmp_path / "run", given, registry)
    with pytest.raises(Stopped):
        run.execute(listeners(), stop_after=2)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "ba')
    run.execute(listeners())
    entries = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "losses" in entry] == [1, 2, 3, 4, 1, 2, 3]


def test_the_two_stages_apart_equal_one_run(tmp_path, given, registry):
    create(tmp_path / "whole", given, registry).execute()
    create(tmp_path / "base", {**given, "stages": ["base"]}, registry).execute()
    apart = {**given, "stages": ["transfer"], "base_model": str(tmp_path / "base" / FILES[0])}
    create(tmp_path / "apart", apart, registry).execute()
    assert (tmp_path / "apart" / FILES[1]).read_bytes() == (tmp_path / "whole" / FILES[1]).read_bytes()


def test_transfer_none_serves_every_group_with_the_base_model(tmp_path, tiny, registry):
    import torch

    import i2i

    create(tmp_path / "run", {**tiny, "transfer": {"name": "none"}}, registry).execute()
    model = i2i.load(tmp_path / "run")
    x = torch.rand(1, 3, 32, 32)
    assert model.groups == ("woman", "kid", "man")
    assert torch.equal(model.translate(x, "kid"), model.translate(x, "woman"))
    assert i2i.load(tmp_path / "run" / "base.safetensors").groups == ("woman",)
