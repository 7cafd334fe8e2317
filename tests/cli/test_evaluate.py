"""``i2i evaluate``: the table, scores.json, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from i2i.storage import tensor_file
from i2i.storage.caches import digest
from i2i.storage.run_folder import claim
from i2i.storage.toml import to_toml
from tests.cli.conftest import TINY
from tests.wording import check, check_line, mentions

METRICS = """
    from i2i import Metric, Options, Score, WeightsError, hookimpl
    from pydantic import Field


    class Brightness(Metric):
        name = "brightness"
        network = "eye"
        resize = "to 32 px"
        fewest_real = 1
        higher_is_better = True

        class Config(Options):
            gain: float = Field(1.0, description="Factor.")

        def score(self, case):
            value = self.config.gain * case.fake.whole().mean().item()
            return Score(value, value - 0.5, value + 0.5, len(case.fake))


    class Weightless(Metric):
        name = "weightless"

        def prepare(self, pretrained, device):
            raise WeightsError("The weights of Eye are nowhere. Get them.")

        def score(self, case):
            raise NotImplementedError


    @hookimpl
    def register_metrics():
        return [Brightness, Weightless]
"""


@pytest.fixture(autouse=True)
def _metrics(install) -> None:
    install("eye-metrics", METRICS)


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A run folder of its own."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def told(path: Path) -> dict:
    return json.loads(path.read_text())


class TestTable:
    def test_has_a_row_a_group_and_metric(self, i2i, run) -> None:
        out = i2i("evaluate", run, "--metrics", "brightness").out
        rows = [line.split() for line in out.splitlines()]
        assert " ".join(rows[0]) == "group metric score interval n real drawings untranslated note"
        assert [row[:3] for row in rows if "↑" in row[:3]] == [
            [group, "brightness", "↑"] for group in ("woman", "kid", "man", "mean")
        ]
        woman = told(run / "scores.json")["scores"]["woman"]["brightness"]
        marks = [woman[mark]["value"] for mark in ("real_drawings", "untranslated")]
        figures = [woman["value"], woman["low"], woman["high"], *marks]
        shown = next(row[3:] for row in rows if row[:1] == ["woman"])
        low, high, n, real, untranslated = shown[1], shown[3], shown[4], *shown[5:]
        assert [float(figure) for figure in (shown[0], low, high, real, untranslated)] == pytest.approx(
            figures, abs=6e-4
        )
        assert (shown[2], n) == ("to", "2")
        check_line(out, "real drawings:", "untranslated:")
        check_line(out, "brightness:", "eye", "32 px")
        assert out.endswith(f"{run / 'scores.json'}\n")

    def test_tells_once_why_a_metric_scores_no_group(self, i2i, run) -> None:
        out = i2i("evaluate", run).out
        check_line(out, "weightless", "Eye")
        check_line(out, "l1")

    def test_tells_beside_a_group_why_it_has_no_score(self, i2i, run, own_root) -> None:
        shutil.rmtree(own_root / "kid" / "testB")
        out = i2i("evaluate", run, "--metrics=brightness", "--data", own_root).out
        kid, mean = (next(line for line in out.splitlines() if line.startswith(name)) for name in ("kid", "mean"))
        check(kid, "brightness", "0 of 1")
        mentions(mean, "kid")

    def test_of_every_group_as_another_shows_what_its_own_branch_brings(self, i2i, run, tmp_path, refused) -> None:
        out = i2i("evaluate", run, "--metrics", "brightness", "--as", "woman", "--out", tmp_path / "as.json").out
        assert [line.split("  ")[0] for line in out.splitlines() if "brightness ↑" in line] == [
            "woman", "kid (as woman)", "man (as woman)", "mean"
        ]  # fmt: skip
        i2i("evaluate", run, "--metrics", "brightness")
        own, other = (told(path)["scores"] for path in (run / "scores.json", tmp_path / "as.json"))
        assert own["woman"] == other["woman"]
        assert own["man"]["brightness"]["value"] != other["man"]["brightness"]["value"]
        assert told(tmp_path / "as.json")["translated_as"] == "woman"
        mentions(refused("evaluate", run, "--as", "women"), "women", "woman")

    def test_of_every_group_as_another_is_not_written_over_its_own_scores(self, i2i, run) -> None:
        assert i2i("evaluate", run, "--metrics", "brightness", "--as", "woman").status == 0
        assert not (run / "scores.json").exists()

    def test_names_what_serves_a_group_that_the_model_lacks(self, i2i, run) -> None:
        out = i2i("evaluate", run / "base.safetensors", "--metrics=brightness").out
        assert "kid (as woman)" in out
        assert "mean of woman" in out


class TestScoresFile:
    def test_holds_what_is_needed_to_have_the_scores_again(self, i2i, run, folder_root) -> None:
        i2i("evaluate", run, "--metrics=brightness", "--metric.brightness.gain=2", "--device=cpu")
        card = told(run / "scores.json")
        assert list(card) == ["model", "data", "size", "seed", "metrics", "versions", "machine", "scores", "overall"]
        assert card["model"] == {
            "file": str(run / "model.safetensors"), "sha256": digest(run / "model.safetensors"), "backbone": "ugatit",
            "generator": "ugatit", "discriminator": "ugatit", "transfer": "branch", "groups": ["woman", "kid", "man"],
        }  # fmt: skip
        assert (card["data"]["name"], card["data"]["root"]) == ("folder", str(folder_root))
        sources, drawings = (card["data"]["held_out"]["kid"][part] for part in ("sources", "drawings"))
        assert (sources["n"], len(sources["sha256"])) == (2, 64)
        assert drawings["sha256"] != sources["sha256"]
        assert (card["size"], card["seed"], card["metrics"]) == (32, 0, {"brightness": {"gain": 2.0}})
        assert card["versions"]["brightness"] == "eye-metrics 1.0"
        assert card["machine"]["device"] == "cpu"
        kid = card["scores"]["kid"]["brightness"]
        assert list(kid) == ["value", "low", "high", "n", "network", "resize", "split", "higher_is_better",
                             "real_drawings", "untranslated", "note"]  # fmt: skip
        values = [own["brightness"]["value"] for own in card["scores"].values()]
        assert card["overall"]["brightness"]["value"] == pytest.approx(sum(values) / 3)

    def test_is_named_after_the_model_that_is_named(self, i2i, run) -> None:
        (run / "steps").mkdir()
        shutil.copy(run / "model.safetensors", run / "steps" / "transfer-000001.safetensors")
        for name in ("base.safetensors", "steps/transfer-000001.safetensors"):
            assert i2i("evaluate", run / name, "--metrics=brightness").status == 0
        assert {path.name for path in run.glob("scores*.json")} == {"scores-base.json", "scores-transfer-000001.json"}

    def test_is_written_where_asked_and_not_over_another(self, i2i, refused, run, tmp_path) -> None:
        own = tmp_path / "own.json"
        i2i("evaluate", run, "--metrics=brightness", "--out", own)
        assert not (run / "scores.json").exists()
        first = told(own)
        message = refused("evaluate", run, "--out", own)
        mentions(message, own, "--out", "--overwrite")
        i2i("evaluate", run, "--metrics=brightness", "--metric.brightness.gain=2", "--out", own, "--overwrite")
        assert told(own)["scores"] != first["scores"]

    def test_goes_when_the_run_is_replaced(self, run) -> None:
        for name in ("scores.json", "scores-best.json"):
            (run / name).write_text("{}")
        claim(run, overwrite=True)
        assert list(run.glob("scores*")) == []

    def test_options_of_the_run_s_metrics_count(self, i2i, run) -> None:
        with (run / "run.toml").open("a") as file:
            file.write("[metric.brightness]\ngain = 3.0\n")
        i2i("evaluate", run, "--metrics=brightness")
        assert told(run / "scores.json")["metrics"] == {"brightness": {"gain": 3.0}}


class TestModels:
    @pytest.mark.full
    def test_the_best_of_an_emoji_run(self, i2i, tmp_path, folder_root) -> None:
        few = ["--data.render=32", '--data.shots={"man": [4, 3], "kid": [4, 3], "elderly": [4, 3], "woman": [6, 6]}']
        quick = [option for option in TINY if "step" not in option and "evaluate" not in option]
        every = ["--evaluate.every=1", "--evaluate.metrics=l1,brightness"]
        result = i2i("run", *quick, "--steps=2", "--transfer-steps=2", *few, *every, "--out", tmp_path / "run")
        assert result.status == 0, result.err
        best_file = tmp_path / "run" / "best.safetensors"
        best = tensor_file.read_description(best_file)["best"]
        assert (best["stage"], best["metric"], best["groups"]) == ("transfer", "l1", ["woman", "man", "kid", "elderly"])
        i2i("evaluate", best_file, "--metrics=l1")
        card = told(tmp_path / "run" / "scores-best.json")
        assert card["model"]["best"] == best
        assert card["overall"]["l1"]["value"] == best["value"]
        assert card["overall"]["l1"]["real_drawings"]["value"] == 0
        assert card["overall"]["l1"]["split"] == "held-out pairs"
        translated = i2i(
            "translate", best_file, folder_root / "kid" / "testA", "--group=kid", "--out", tmp_path / "out"
        )
        assert translated.status == 0

    def test_a_file_in_no_run_folder(self, i2i, refused, run, tmp_path, folder_root) -> None:
        alone = tmp_path / "alone" / "model.safetensors"
        alone.parent.mkdir()
        shutil.copy(run / "model.safetensors", alone)
        mentions(refused("evaluate", alone), alone, "--data NAME", "--data FOLDER")
        result = i2i("evaluate", alone, "--data", folder_root, "--metrics=brightness")
        assert result.status == 0
        assert result.out.rstrip().endswith("held-out drawings")
        assert [path.name for path in alone.parent.iterdir()] == ["model.safetensors"]

    def test_a_model_without_groups_meets_all(self, i2i, run) -> None:
        tensors, about = tensor_file.read(run / "base.safetensors")
        tensor_file.write(run / "all.safetensors", tensors, {**about, "base": "all"})
        out = i2i("evaluate", run / "all.safetensors", "--metrics=brightness").out
        assert "kid (as all)" in out
        card = told(run / "scores-all.json")
        values = [own["brightness"]["value"] for own in card["scores"].values()]
        assert card["overall"]["brightness"]["value"] == pytest.approx(sum(values) / 3)

    def test_data_and_metrics_of_a_file(self, i2i, run, own_root, tmp_path) -> None:
        file = tmp_path / "judge.toml"
        file.write_text(to_toml({"data": {"name": "folder", "root": str(own_root)}, "device": "cpu",
                                 "evaluate": {"metrics": "brightness"}}))  # fmt: skip
        i2i("evaluate", run, "--config", file)
        card = told(run / "scores.json")
        assert card["data"]["root"] == str(own_root)
        assert list(card["metrics"]) == ["brightness"]


class TestRefusals:
    def test_no_such_metric(self, refused, run) -> None:
        message = refused("evaluate", run, "--metrics", "l1,brigthness")
        mentions(message, "brigthness", "brightness")

    def test_a_metric_without_weights(self, refused, run) -> None:
        mentions(refused("evaluate", run, "--metrics=weightless"), "Eye")

    def test_no_such_option_of_a_metric(self, refused, run) -> None:
        message = refused("evaluate", run, "--metric.brightness.gian=2")
        mentions(message, "--metric.brightness.gian", "--metric.brightness.gain")

    def test_a_wrong_value_of_an_option(self, refused, run) -> None:
        message = refused("evaluate", run, "--metric.brightness.gain=much")
        mentions(message, "brightness", "gain", "much")

    def test_no_held_out_images(self, refused, run, own_root) -> None:
        for group in ("woman", "man", "kid"):
            shutil.rmtree(own_root / group / "testA")
        mentions(
            refused("evaluate", run, "--data", own_root), "woman", "kid", "man", "testA", "testB", "trainA", "--data"
        )

    def test_groups_that_do_not_meet(self, refused, run, own_root) -> None:
        for old, new in (("woman", "cat"), ("man", "dog"), ("kid", "cow")):
            (own_root / old).rename(own_root / new)
        mentions(
            refused("evaluate", run, "--data", own_root, "--data.base=cat"),
            run / "model.safetensors",
            "woman",
            "kid",
            "man",
            "--data",
        )

    def test_no_model(self, refused, tmp_path) -> None:
        mentions(refused("evaluate", tmp_path / "none"), tmp_path / "none", ".safetensors")


def test_a_quiet_evaluation_prints_no_legend(i2i, run) -> None:
    quiet, plain = (i2i("evaluate", run, "--metrics=l1", *more).out for more in (["-q"], []))
    assert "lower is better" in plain
    assert "lower is better" not in quiet
    assert set(quiet.splitlines()) < set(plain.splitlines())


def test_scores_as_json(i2i, run) -> None:
    result = i2i("evaluate", run, "--metrics=l1", "--json")
    assert json.loads(result.out) == json.loads((run / "scores.json").read_text())
