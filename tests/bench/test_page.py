from __future__ import annotations

import builtins
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from i2i.bench.files import BenchResults
from i2i.bench.page import _content, results_of, write_bench_report
from i2i.errors import ConfigError, DataError
from tests.report.conftest import score
from tests.wording import refused

EMOJI = Path(__file__).parents[2] / "benchmarks" / "results" / "emoji-ugatit"
GAP = {"none": 0.3, "joint": 0.2, "branch": 0.1}
"""What each contender scores above the seed's hundredth, in the end."""


@pytest.fixture
def told() -> dict[str, Any]:
    """What ``bench.json`` holds: three contenders, two seeds, two scored models of each but the first."""
    test = {
        "metric": "lpips", "group": "overall", "reference": "branch", "other": "none", "p": 0.03, "adjusted": None,
        "difference": {"value": -0.2, "low": -0.3, "high": -0.1, "seeds": 2}, "better": "branch",
    }  # fmt: skip
    return {
        "plan": {"backbones": ["unit"], "contenders": {name: [] for name in GAP}, "seeds": 3, "base": ["--steps", "9"]},
        "machine": {"processor": "Abacus", "cores": 2},
        "reference": "branch",
        "cells": [cell(name, seed) for seed in (0, 1) for name in GAP],
        "tests": {"unit": [test]},
    }


def cell(name: str, seed: int) -> dict[str, Any]:
    steps = (0,) if name == "none" else (5, 10)
    command = f"i2i transfer base --transfer {name} --seed {seed}"
    models = [model(name, seed, step) for step in steps]
    return {"backbone": "unit", "contender": name, "seed": seed, "command": command, "seconds": 60.0, "models": models}


def model(name: str, seed: int, step: int) -> dict[str, Any]:
    value = GAP[name] + seed / 100 + (0.5 if step == 5 else 0.0)
    about = {"network": "AlexNet", "split": "held-out pairs", "higher_is_better": False, "untranslated": score(0.9)}
    scores = {
        "woman": {"lpips": score(value, **about, real_drawings=score(0.0))},
        "kid": {"lpips": score(value + 0.2, **about, real_drawings=None), "l1": {"value": None, "note": "n too small"}},
    }
    seen = {"woman": 100 + (0 if name == "joint" else step), "kid": step}
    return {"step": step, "final": step in (0, 10), "seen": seen, "scores": scores}


@pytest.fixture
def folder(told, tmp_path) -> Path:
    write(tmp_path, told)
    return tmp_path


def write(folder: Path, told: dict[str, Any]) -> None:
    (folder / "bench.json").write_text(json.dumps(told))


@pytest.fixture
def lpips(told, tmp_path):
    """What the page shows of the one metric that has scores."""
    (part,) = _content(BenchResults.model_validate(told), tmp_path)["backbones"]
    (metric,) = part.metrics
    return metric


def test_means_over_seeds_with_the_best_of_each_group(lpips):
    assert (lpips.metric, lpips.way, lpips.measured) == ("lpips", "lower is better", "AlexNet; held-out pairs")
    assert lpips.groups == ["woman", "kid", "overall"]
    assert [row[0] for row in lpips.rows] == ["none", "joint", "branch"]
    half = "0.064"  # 12.706 * 0.00707 / sqrt(2): Student's t for two seeds
    assert lpips.rows[0][1:] == [(f"0.305 ± {half}", False), (f"0.505 ± {half}", False), (f"0.405 ± {half}", False)]
    assert lpips.rows[2][1:] == [(f"0.105 ± {half}", True), (f"0.305 ± {half}", True), (f"0.205 ± {half}", True)]


def test_what_looks_equally_good_is_bold_alike(told, tmp_path):
    for cell in told["cells"]:
        if cell["contender"] == "joint":
            cell["models"][1]["scores"]["woman"]["lpips"]["value"] = 0.1 + cell["seed"] / 100 + 0.0001
    (part,) = _content(BenchResults.model_validate(told), tmp_path)["backbones"]
    assert [row[1][1] for row in part.metrics[0].rows] == [False, True, True]


def test_a_plot_a_group_with_all_groups_first(lpips):
    assert [plot.metric for plot in lpips.dot_plots] == ["overall", "woman", "kid"]
    dot = lpips.dot_plots[1].dots[2]
    assert (dot.name, dot.n) == ("branch", 2)
    assert (dot.value, *dot.each, dot.real_drawings, dot.untranslated) == pytest.approx((0.105, 0.1, 0.11, 0.0, 0.9))
    overall = lpips.dot_plots[0].dots[0]
    assert (overall.real_drawings, overall.untranslated) == (None, pytest.approx(0.9))


def test_scores_against_the_drawings_of_each_group(lpips):
    woman, kid = lpips.charts
    assert (woman.title, kid.axis) == ("woman", "drawings of kid seen")
    curves = {one.name: (list(one.at), list(one.values)) for one in kid.series}
    assert curves["branch"] == ([5, 10], pytest.approx([0.805, 0.305]))
    assert curves["none"] == ([0], pytest.approx([0.505]))
    joint = woman.series[1]  # which looks at no further women
    assert (joint.name, list(joint.at), joint.values) == ("joint", [100], pytest.approx([0.205]))


def test_one_seed_has_no_interval(told, tmp_path):
    told["cells"] = told["cells"][:3]
    (part,) = _content(BenchResults.model_validate(told), tmp_path)["backbones"]
    assert part.metrics[0].rows[2][1] == ("0.100", True)
    dot = part.metrics[0].dot_plots[1].dots[2]
    assert (dot.low, dot.high, dot.each) == (dot.value, dot.value, ())


def test_the_page(folder):
    Image.new("RGB", (100, 50), "red").save(folder / "unit.png")
    assert write_bench_report(folder) == folder / "report.html"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "none, joint, branch compared" in page
    assert "6 of 9 training runs" in page
    assert page.count("data:image/webp") == 1
    steps, seen = (
        f'<td class="number" data-head="{head}">{text}</td>' for head, text in (("steps", 10), ("woman", 100))
    )
    assert f'<td data-head="">joint</td>{steps}{seen}' in page
    assert "branch - none" in page
    assert "-0.200 ± 0.100" in page
    assert "i2i transfer base --transfer joint --seed 1" in page
    for outside in ("http:", "https:", "<link", "@import"):
        assert outside not in page


def test_where_the_results_lie(folder, tmp_path_factory):
    assert results_of(folder) == folder
    bench = tmp_path_factory.mktemp("bench")
    assert results_of(bench) is None
    folder.rename(bench / "results")
    assert results_of(bench) == bench / "results"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", (1, 2)),
        ('{"plan": {}}', ("plan.backbones",)),
        ('{"plan": {"backbones": [], "contenders": {}, "seeds": 1}}', ("machine",)),
        ('{"plan": 3}', ("plan", 3)),
    ],
)
def test_damaged_results(tmp_path, text, named):
    (tmp_path / "bench.json").write_text(text)
    with refused(DataError, tmp_path / "bench.json", *named, "i2i bench"):
        write_bench_report(tmp_path)


@pytest.mark.parametrize("place", ["scores", "seen", "group"])
def test_groups_that_are_no_names(folder, place):
    content = json.loads((folder / "bench.json").read_text())
    if place == "group":
        next(iter(content["tests"].values()))[0]["group"] = "../evil"
    else:
        model = content["cells"][0]["models"][0]
        model[place] = {"../evil": next(iter(model[place].values()))}
    (folder / "bench.json").write_text(json.dumps(content))
    with refused(DataError, folder / "bench.json", place):
        write_bench_report(folder)


def test_without_scipy(folder, monkeypatch):
    original = builtins.__import__

    def importing(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError("no", name="scipy")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", importing)
    with refused(ConfigError, "pip install 'i2i[bench]'"):
        write_bench_report(folder)


@pytest.mark.parametrize("viewport", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_a_whole_bench_opens_with_the_winners_and_cuts_nothing(browser, tmp_path, viewport):
    width, height = viewport
    for name in ("bench.json", "ugatit.png"):
        shutil.copy(EMOJI / name, tmp_path)
    page, complaints, requests = browser.new_page(viewport={"width": width, "height": height}), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    path = write_bench_report(tmp_path)
    page.goto(path.as_uri())
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert 0 < page.evaluate("document.querySelector('#details').getBoundingClientRect().top") < 2 * height
    for details in page.locator("details").all():
        details.evaluate("details => { details.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    over = page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((one) => !one.closest("pre, svg, [hidden]"))
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
        .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert over == []
    page.locator("main img").first.click()
    assert page.locator("dialog img").evaluate("image => image.clientWidth === image.naturalWidth")
    assert complaints == []


def test_it_loads_and_fits_a_phone(browser, folder):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(write_bench_report(folder).as_uri())
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    plot = page.locator(".plot").last
    plot.focus()
    assert plot.locator(".tip").inner_text() == "drawings of kid seen 10\nnone 0.505\njoint 0.405\nbranch 0.305"
