"""The published step that `benchmarks/speed.py` compares with ours does the same mathematics, and rounds are kept."""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from pathlib import Path

import pytest

from tests.plugins.i2i_transfer.routing import precise
from tests.sampling import sampled

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
KEPT = {"speed": "STEPS", "translation": "TRANSLATION", "fid": "FID", "operators": "OPERATORS", "costs": "COSTS",
        "neighbour": "NEIGHBOUR"}  # fmt: skip


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def records(tmp_path, monkeypatch):
    """The records, kept in a folder of the test."""
    import records

    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(records, "commit", lambda: "new")
    return records


BACKBONES = sampled("unit", "ugatit", "cyclegan", "photo2cartoon")


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_published_step_has_the_losses_of_ours(backbone):
    import published_step
    from cases import Case

    ours, published = _pair(Case(backbone, 32, 8, batch=2))
    published = published_step.PublishedStep(published)
    for _ in range(2):
        assert published.step() == pytest.approx(ours.step(), rel=1e-9)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_published_step_of_stage_2_has_the_losses_of_ours(backbone):
    """The weights stay as they are: ours translates all groups before any update, the published step one by one."""
    import published_step
    from cases import Case

    ours, published = map(_still, _pair(Case(backbone, 32, 8, groups=2)))
    published = published_step.PublishedStep(published)
    for _ in range(2):
        assert published.step() == pytest.approx(ours.step(), rel=1e-9)


def test_operations_are_counted_with_a_pretrained_discriminator():
    import backbones

    one, two = (argparse.Namespace(preset="quick", size=32, batch=batch) for batch in (1, 2))
    once, twice = (backbones._operations(backbones._choose("ugatit", options)) for options in (one, two))
    assert twice == 2 * once > 1e9


@pytest.mark.parametrize("script", KEPT)
def test_the_table_is_of_the_rounds_at_hand(script):
    from records import PAGE

    page = PAGE.read_text(encoding="utf-8")
    assert getattr(importlib.import_module(script), KEPT[script]).place(page) == page


def test_a_stopped_benchmark_continues_with_the_rounds_missing(records):
    benchmark, taken = _benchmark(records), iter((1.0, 2.0))
    for _ in range(2):
        for number in range(2):
            benchmark.measure("case", 1, number, lambda: {"turns": [{"s": next(taken)}]})
    assert [r["turns"] for r in benchmark.rounds()] == [[{"s": 1.0}], [{"s": 2.0}]]


def test_rounds_of_older_code_are_measured_again_and_leave_the_table(records, monkeypatch):
    benchmark = _benchmark(records)
    monkeypatch.setattr(records, "commit", lambda: "old")
    for case in ("again", "once"):
        benchmark.measure(case, 1, 0, lambda: {"turns": [{"s": 5.0}]})
    monkeypatch.setattr(records, "commit", lambda: "new")
    benchmark.measure("again", 1, 0, lambda: {"turns": [{"s": 3.0}]})
    table = benchmark.tables(benchmark.rounds())
    assert "| again | 1, 1 | 3.0 |\n| once | 1, 1 | 5.0 |" in table
    assert table.endswith("Commit: new; old.")


def test_each_machine_and_each_gpu_has_a_table(records, monkeypatch):
    benchmark = _benchmark(records)
    monkeypatch.setattr(records, "machine", lambda device: {"cpu": "two cores", "cuda": "H200"}[device])
    for device, seconds in (("cpu", 5.0), ("cuda", 1.0)):
        benchmark.measure("case", 1, 0, lambda seconds=seconds: {"turns": [{"s": seconds}]}, device)
    first, second = benchmark.tables(benchmark.rounds()).split("\n\n|")
    assert "| 5.0 |" in first
    assert "Machine: two cores." in first
    assert "| 1.0 |" in second
    assert "Machine: H200." in second


def test_a_page_without_the_marks_of_a_table_is_refused(records):
    with pytest.raises(SystemExit, match="lacks the marks '<!-- seconds table -->'"):
        _benchmark(records).place("# Speed\n")


def test_the_commit_is_the_last_that_changed_the_measured_code():
    from records import commit

    assert commit().rstrip("+").isalnum()


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::convolution_backward", "convolution, backward"),
        ("aten::mkldnn_convolution", "convolution, forward"),
        ("aten::_slow_conv2d_backward", "convolution, backward"),
        ("_ReflectedBackward", "padding"),
        ("aten::reflection_pad2d", "padding"),
        ("_LayerInstance", "normalisation"),
        ("aten::native_batch_norm_backward", "normalisation"),
        ("Optimizer.step#Adam.step", "optimizer"),
        ("aten::_fused_adam_", "optimizer"),
        ("aten::addmm", "matrix products"),
        ("aten::mul", "other arithmetic"),
        ("aten::copy_", "copies and memory"),
        ("aten::leaky_relu", "the rest"),
    ],
)
def test_operators_are_counted_by_kind(operator, kind):
    from operators import kind_of

    assert kind_of(operator) == kind


def _benchmark(records):
    return records.Benchmark("seconds", ("s",), lambda rounds: [[rounds[0]["case"], f"{records.median(rounds, 's')}"]])


def _pair(case):
    """Return two equal trainings in double precision."""
    from cases import build_training

    return [_silent(precise(build_training(case, 1))) for _ in range(2)]


def _still(training):
    for group in [group for optimizer in training.optimizers.values() for group in optimizer.param_groups]:
        group["eps"] = math.inf
    return training


def _silent(training):
    """Turn off UNIT's noise, which the two draw in different order."""
    for generator in training.backbone.generators.values():
        if "noise" in type(generator.config).model_fields:
            generator.config = generator.config.model_copy(update={"noise": 0.0})
    return training
