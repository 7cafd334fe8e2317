from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.text import Text

from i2i.config.options import merge
from i2i.contracts.scores import Judgement
from i2i.evaluation import overfitting
from i2i.evaluation.metrics_log import read_lines
from i2i.report import Reporter
from i2i.runs.listeners import overfitting as listener
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.listeners.overfitting import OverfittingGauge
from i2i.runs.listeners.progress import ProgressDisplay
from i2i.runs.run import Run, Stopped, create_run
from tests.wording import check, check_line


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=400, soft_wrap=True)


@pytest.fixture
def given(tiny):
    return merge(tiny, {"backbone": {"name": "cyclegan"}, "steps": 4, "transfer_steps": 3, "sample_every": 2})


def entries(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if "overfitting" in entry]


LOSSES = {
    "discriminator/adversarial": 2.848,
    "generator/adversarial": 3.141,
    "generator/cycle": 0.751,
    "generator/identity": 0.65,
    "generator/cam": 1.806,
}


def staged(at, note=""):
    """Add what the display shows at the start of a stage."""
    at.samples_per_step = 4
    at.model.backbone.discriminators = {"a": SimpleNamespace(note=note)}
    return at


@pytest.fixture
def measured(monkeypatch):
    """What the gauge measures: change it."""
    figures = {"woman": 0.1, "kid": 0.7}
    monkeypatch.setattr(listener, "overfitting", lambda model, dataset: dict(figures))
    return figures


@pytest.fixture
def run(tmp_path):
    """A run that has come to a step."""

    def make(step=200, stage="transfer", augment="none", held_out=6):
        config = SimpleNamespace(sample_every=200, augment=augment)
        dataset = SimpleNamespace(test=lambda group, domain: [None] * held_out)
        chances = {"b/kid": 0.25} if augment == "ada" else {}
        backbone = SimpleNamespace(augmentation=SimpleNamespace(chances=chances))
        model = SimpleNamespace(backbone=backbone)
        return SimpleNamespace(stage=stage, step=step, steps=1000, config=config, dataset=dataset, model=model,
                               folder=tmp_path)  # fmt: skip

    return make


class TestOverfittingGauge:
    def test_writes_figures_and_probabilities_when_grids_are_drawn(self, run, console, measured, tmp_path):
        gauge = OverfittingGauge(console)
        for step in (199, 200, 201, 1000):
            gauge.on_step(run(step, augment="ada"), step, {})
        assert entries(tmp_path) == [
            {"stage": "transfer", "step": step, "overfitting": measured, "augmentation": {"b/kid": 0.25}}
            for step in (200, 1000)
        ]

    def test_writes_nothing_where_nothing_is_measured(self, run, console, measured, tmp_path):
        measured.clear()
        OverfittingGauge(console).on_step(run(), 200, {})
        assert not (tmp_path / "metrics.jsonl").exists()

    def test_warns_once_a_stage_of_a_group_that_runs_away(self, run, console, measured):
        gauge = OverfittingGauge(console)
        for step in (200, 400):
            gauge.on_step(run(step), step, {})
        named = ["kid", "0.70", 200, "transfer", "--augment ada", "--transfer-steps", "--loss.adversarial.r1 1"]
        check_line(console.file.getvalue(), *named)
        assert console.file.getvalue().count("\n") == 1
        gauge.on_train_start(run(0, stage="base"))
        assert gauge.figures == {}
        gauge.on_step(run(200, stage="base", augment="ada"), 200, {})
        assert console.file.getvalue().count("\n") == 2
        warning = console.file.getvalue().splitlines()[-1]
        check(warning, "kid", 200, "base", "--steps", "--loss.adversarial.r1 1")
        assert "--augment" not in warning

    @pytest.mark.parametrize(("figure", "held_out"), [(0.5, 6), (0.9, 3)])
    def test_does_not_warn_below_the_threshold_or_of_what_chance_can_do(self, run, console, measured, figure, held_out):
        measured["kid"] = figure
        OverfittingGauge(console).on_step(run(held_out=held_out), 200, {})
        assert console.file.getvalue() == ""

    def test_does_not_disturb_training(self, tmp_path, given, registry, console, monkeypatch):
        monkeypatch.setattr(overfitting, "LEAST_GAP", -1e9)  # nothing is told apart so soon
        given = merge(given, {"augment": "ada", "ada_target": -0.9, "ema": 0.9, "backbone": {"name": "ugatit"}})
        create_run(tmp_path / "alone", given, registry).execute()
        watched = create_run(tmp_path / "watched", {**given, "sample_every": 1}, registry)
        watched.execute([OverfittingGauge(console), MetricsFile()])
        for name in ("base.safetensors", "model.safetensors"):
            assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "watched" / name).read_bytes()
        assert [(entry["stage"], entry["step"]) for entry in entries(tmp_path / "watched")] == [
            *(("base", step) for step in (1, 2, 3, 4)),
            *(("transfer", step) for step in (1, 2, 3)),
        ]

    def test_a_resumed_run_measures_the_same(self, tmp_path, given, registry, console, monkeypatch):
        monkeypatch.setattr(overfitting, "LEAST_GAP", -1e9)
        watch = [OverfittingGauge(console), MetricsFile()]
        create_run(tmp_path / "whole", given, registry).execute(watch)
        with pytest.raises(Stopped):
            create_run(tmp_path / "parts", given, registry).execute(watch, stop_after=3)
        Run(tmp_path / "parts", registry).execute(watch)
        assert entries(tmp_path / "whole") == entries(tmp_path / "parts") != []


class TestProgressDisplay:
    def test_shows_the_mean_over_the_model_s_groups(self, run, console):
        at = run(200)
        at.model.groups = ("woman", "kid")
        scores = {
            group: {"l1": Judgement(value, value, value, 3), "ssim": Judgement(0.5, 0.5, 0.5, 3, higher_is_better=True)}
            for group, value in (("woman", 0.25), ("kid", 0.5), ("man", 1.0))
        }
        display = ProgressDisplay(console)
        display.on_evaluate(at, 200, scores)
        display.on_evaluate(at, 200, {"woman": {"l1": Judgement(note="n too small")}})
        assert console.file.getvalue() == "transfer 200/1000  scores: l1 0.375 ↓  ssim 0.500 ↑\n"

    def test_shows_the_group_that_overfits_most(self, run, console, measured):
        gauge = OverfittingGauge(Console(file=io.StringIO()))
        display = ProgressDisplay(console, every=0, gauge=gauge)
        at = run(200)
        at.samples_per_step = 4
        display.on_step(at, 199, {"generator/cycle": 1.0})
        gauge.on_step(at, 200, {})
        display.on_step(at, 200, {"generator/cycle": 1.0})
        first, second = console.file.getvalue().splitlines()
        assert first.endswith("G cycle 1.000")
        assert second.endswith("G cycle 1.000  D overfits kid 0.70")

    @pytest.mark.parametrize(
        ("columns", "losses"),
        [
            (80, []),
            (100, ["D adversarial 2.848"]),
            (160, ["D adversarial 2.848", "G adversarial 3.141", "G cycle 0.751", "G identity 0.650"]),
        ],
    )
    def test_shows_stage_bar_step_and_time_left_at_any_width(self, run, columns, losses):
        terminal = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
        at, display = staged(run(100_000)), ProgressDisplay(terminal)
        display.on_train_start(at)
        display._started -= 100
        display._first = 99_000
        at.steps = 150_000
        display._bar.update(display._task, total=at.steps)
        display.on_step(at, 100_000, LOSSES)
        display.on_train_end(at)
        drawn = Text.from_ansi(terminal.file.getvalue().replace("\r", "\n")).plain.splitlines()
        line = [one.rstrip() for one in drawn if "━" in one][-1]
        stage, bar, *rest = line.split()
        assert (stage, set(bar)) == ("transfer", {"━"})
        assert len(bar) >= 15
        shown = " ".join(rest)
        assert shown == " ".join(["100000/150000 40.0 images/s, 1:23:20 left", *losses])
        assert len(line) <= columns

    def test_prints_all_losses_scores_and_files_if_details_are_asked_for(self, run, tmp_path):
        terminal = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
        at, display = staged(run(1000)), ProgressDisplay(terminal, details=True)
        at.model.groups = ("woman", "kid")
        display.on_train_start(at)
        display.on_step(at, 1000, LOSSES)
        display.on_evaluate(at, 1000, {"woman": {"l1": Judgement(0.25, 0.25, 0.25, 3), "ssim": Judgement()}})
        display.on_checkpoint(at, tmp_path / "state.safetensors")
        display.on_train_end(at)
        text = Text.from_ansi(terminal.file.getvalue()).plain
        for part in ("G cam 1.806", "scores: l1 0.250", "woman: l1 0.250", f"saved {tmp_path}/state.safetensors"):
            assert part in text

    def test_prints_nothing_and_draws_no_bar_on_a_quiet_console(self, run):
        silent = Console(file=io.StringIO(), force_terminal=True, quiet=True)
        at, display = staged(run(1000)), ProgressDisplay(silent)
        display.on_train_start(at)
        display.on_step(at, 1000, LOSSES)
        display.on_train_end(at)
        assert silent.file.getvalue() == ""

    def test_prints_the_note_of_a_discriminator_once(self, run, console):
        at, display = staged(run(1), note="Using 5 and 4 layers."), ProgressDisplay(console)
        for at.stage in ("base", "transfer"):
            display.on_train_start(at)
        assert console.file.getvalue().count("Using 5 and 4 layers.") == 1


class TestMetricsFile:
    def test_drops_damaged_lines_with_a_warning_and_keeps_the_others(self, run, console, tmp_path):
        path = tmp_path / "metrics.jsonl"
        lines = [b'{"stage": "base", "step": %d, "losses": {"x": 0.1}}\n' % step for step in (1, 2, 3)]
        path.write_bytes(b"".join([lines[0], b"\xff\xfe, power cut\n", b'{"step": 2}\n', *lines[1:], b'{"stage": "ba']))
        MetricsFile(console).on_train_start(run(step=2, stage="base"))
        assert path.read_bytes() == b"".join(lines[:2]), "step 3 is later than the state"
        first, second = console.file.getvalue().splitlines()
        check(first, path, "line 2")
        check(second, path, "line 3")

    def test_a_damaged_line_does_not_keep_a_run_from_going_on(self, tmp_path, given, registry, console):
        with pytest.raises(Stopped):
            create_run(tmp_path, given, registry).execute([MetricsFile(console)], stop_after=2)
        path = tmp_path / "metrics.jsonl"
        path.write_text("nonsense\n" + path.read_text())
        Run(tmp_path, registry).execute([Reporter(), MetricsFile(console)])
        assert [line.step for line in read_lines(path) if line.losses is not None] == [1, 2, 3, 4, 1, 2, 3]
        assert console.file.getvalue().count("dropped") == 1
