"""The showcase: `make showcase` trains a recipe that the repository keeps, resumes it, and writes a model of 8 MB."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import ImageChops, ImageStat

import i2i
from i2i import Dataset, PretrainedNetworks, WeightsError, save
from i2i.cli.options import nested
from i2i.models.assembly import resolve
from i2i.models.data import find_dataset
from i2i.models.model import Model
from tests.commands import call

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "examples" / "showcase.toml"
MODEL = ROOT / "examples" / "models" / "avatars.safetensors"
EXAMPLE = ROOT / "examples" / "redhead"
GROUPS = ("woman", "man", "elderly", "punk")
MOST = 8_000_000
STUB = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in
    "run --config"*) mkdir {run}; touch {run}/run.toml; exit 130 ;;
    "run --resume"*) touch {run}/$(test -f {run}/base.safetensors && echo model || echo base).safetensors ;;
esac
"""


def test_the_model_of_the_recipe_is_small_enough_for_the_repository(registry, tmp_path) -> None:
    """An untrained one, as large as a trained one."""
    try:
        PretrainedNetworks(registry).find("timm:tf_efficientnet_lite0")
    except WeightsError:
        pytest.skip("The weights of tf_efficientnet_lite0 are missing; make installs them.")
    given = nested({"config": str(RECIPE)})
    components = resolve({name: value for name, value in given.items() if name != "data"}, registry)
    model = Model(components, "woman")
    model.prepare(PretrainedNetworks(registry))
    model.adapt(components, ["man", "elderly", "punk"])
    save(model, tmp_path / "avatars.safetensors", slim=True)
    assert find_dataset(given, registry).name == "avatars"
    assert (tmp_path / "avatars.safetensors").stat().st_size < MOST


@pytest.mark.skipif(shutil.which("make") is None, reason="make is missing")
def test_stopped_at_any_time_the_same_command_resumes(tmp_path) -> None:
    """Begun and killed, resumed and stopped between the stages, resumed and finished, and once more."""
    log, run = tmp_path / "log", tmp_path / "showcase"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "installed").touch()
    for name in ("i2i", "python"):
        (tmp_path / "bin" / name).write_text(STUB.format(log=log, run=run))
        (tmp_path / "bin" / name).chmod(0o755)
    places = [f"BIN={tmp_path}/bin", f"READY={tmp_path}/bin/installed", f"SHOWCASE={run}", "EXAMPLE=x", "PICTURE=y"]
    make = ["make", "-s", "-C", str(ROOT), "showcase", *places]
    ends = [subprocess.run(make, capture_output=True, check=False).returncode == 0 for _ in range(4)]
    assert ends == [False, False, True, True]
    resumed, exported = f"i2i run --resume {run}", f"i2i export {run} --out x --overwrite"
    drawn = f"python benchmarks/sheet.py {run} --cell 96 --people 8 --out y"
    begun = f"i2i run --config examples/showcase.toml --out {run}"
    assert log.read_text().splitlines() == [begun, resumed, *[resumed, exported, drawn] * 2]


@pytest.fixture
def people(registry) -> Dataset:
    """Drawn people, one held out per group and domain."""
    drawn = registry.get(Dataset, "avatars")
    return drawn(drawn.Config(people=2, held_out=1))


def test_the_model_in_the_repository_draws_the_same_person_in_every_group(people, tmp_path) -> None:
    assert MODEL.stat().st_size < MOST
    (source,) = people.test("woman", "a")
    drawings = []
    for group in GROUPS:
        call("translate", MODEL, source, "--group", group, "--out", tmp_path / f"{group}.png", "--device=cpu", "-q")
        drawings.append(i2i.read_image(tmp_path / f"{group}.png"))
    assert i2i.load(MODEL).groups == GROUPS
    assert {drawing.size for drawing in drawings} == {i2i.read_image(source).size}
    for one, other in itertools.combinations(drawings, 2):
        assert max(ImageStat.Stat(ImageChops.difference(one, other)).mean) > 2  # of 255
    black, white = zip(*(drawing.convert("L").getextrema() for drawing in drawings), strict=True)
    assert max(black) < 64
    assert min(white) > 240


def test_a_transfer_adds_the_example_of_ten_drawings_to_the_model(people, tmp_path) -> None:
    steps = ("--transfer-steps=1", "--device=cpu", "--evaluate.metrics=l1", "-q")
    call("transfer", MODEL, "--data", EXAMPLE, *steps, "--out", tmp_path / "run")
    before, after = i2i.load(MODEL), i2i.load(tmp_path / "run")
    image = i2i.read_image(people.test("woman", "a")[0])
    assert after.groups == (*GROUPS, "redhead")
    for group in GROUPS:
        assert after.translate(image, group) == before.translate(image, group)


def test_the_example_has_ten_drawings_and_no_fault(capsys) -> None:
    call("data", "check", EXAMPLE, "--size", "128", "--json")
    content = json.loads(capsys.readouterr().out)
    (group,) = content["groups"]
    assert [group[part] for part in ("train_a", "train_b", "test_a", "test_b")] == [10, 10, 8, 6]
    (few,) = content["findings"]
    assert "has 10 source and 10 target images" in few["problem"]
