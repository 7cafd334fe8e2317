"""Files that mean harm, given to every command that reads them: refused, and nothing is written elsewhere."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from i2i.storage.tensor_file import read, write
from tests.cli.conftest import TINY
from tests.sampling import alternated
from tests.wording import mentions

COMMANDS = {
    "list": ("groups", "list"),
    "remove": ("groups", "remove", "kid", "--overwrite"),
    "export": ("groups", "export", "kid", "--out", "kid.safetensors"),
    "evaluate": ("evaluate",),
    "translate": ("translate", "photo.png", "--out", "out"),
    "format": ("export", "--format", "ugatit-pytorch", "--group", "kid", "--out", "out"),
}
"""Commands that read a model; the run folder comes after their words."""


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that a test may damage, in a working directory with a photograph."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 32)).save("photo.png")
    return Path(shutil.copytree(trained, tmp_path / "run"))


def on(run: Path, name: str) -> list[object]:
    """Return a command line of ``COMMANDS`` for a run."""
    words = list(COMMANDS[name])
    place = 2 if words[0] == "groups" else 1
    return [*words[:place], run, *words[place:]]


def redescribe(file: Path, **content: object) -> None:
    """Write a file again with other values in its description, as its author could."""
    tensors, before = read(file)
    write(file, tensors, {**before, **content})


def listing(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["{out}/evil", "../evil", "to", "a b", "kid"])
def test_a_models_groups_are_checked(refused, run, tmp_path, command, name) -> None:
    (tmp_path / "evil.safetensors").write_text("mine")
    redescribe(run / "model.safetensors", groups=["kid", name.format(out=tmp_path)])
    before = listing(tmp_path)
    mentions(refused(*on(run, command), varies="such as '[^']*'"), run / "model.safetensors")
    assert listing(tmp_path) == before
    assert (tmp_path / "evil.safetensors").read_text() == "mine"


@pytest.mark.parametrize("place", ["group", "base"])
def test_a_group_files_names_are_checked(refused, run, place) -> None:
    file = run / "groups" / "kid.safetensors"
    redescribe(file, **{place: "../evil"})
    mentions(refused("groups", "attach", run, file, "--overwrite"), file, place)


def test_a_folder_of_groups_that_leads_elsewhere(refused, run, tmp_path) -> None:
    shutil.rmtree(run / "groups")
    (tmp_path / "elsewhere").mkdir()
    (run / "groups").symlink_to(tmp_path / "elsewhere")
    mentions(refused("groups", "remove", run, "man", "--overwrite"), run)
    assert not listing(tmp_path / "elsewhere")


def test_overwrite_spares_what_is_no_file(refused, run, tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in ("/dev/null", tmp_path / "pipe"):
        message = refused("evaluate", run, "--metrics", "l1", "--out", target, "--overwrite")
        mentions(message, target, "--out")
    assert Path("/dev/null").is_char_device()
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("command", [("report",), ("run", "--resume")])
@pytest.mark.parametrize("name", ["threads", "processes"])
def test_a_number_of_the_machine_that_is_none(refused, run, command, name) -> None:
    text = (run / "run.toml").read_text()
    (run / "run.toml").write_text(re.sub(rf"^{name} = 1$(?=[^\[]*\Z)", f"{name} = [3]", text, flags=re.M))
    mentions(refused(*command, run), run / "run.toml", name, "[3]")


@pytest.mark.parametrize("kind", ["pipe", "/dev/null", "/dev/full"])
def test_nothing_is_written_below_what_is_no_folder(refused, run, folder_root, tmp_path, kind) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / kind
    for command in (
        ("run", *TINY, "--data", folder_root),
        ("translate", run, "photo.png"),
        ("translate", run, "photo.png", "--overwrite"),
        ("translate", run, "photo.png", "--skip-existing"),
        ("export", run, "--format=ugatit-pytorch", "--group=kid"),
    ):
        mentions(refused(*command, "--out", path), path, "not a folder", "--out")
    for command in (("data", "sheet", folder_root), ("groups", "export", run, "kid"), ("evaluate", run)):
        mentions(refused(*command, "--out", path), path, "not a regular file", "--out")


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_what_is_no_file_is_not_read(refused, run, tmp_path, kind) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / kind
    for command in (
        ("run", "--config", path, "--out", "new"),
        ("groups", "attach", run, path, "--overwrite"),
        ("translate", path, "photo.png"),
        ("transfer", path, "--out", "new"),
        ("import", path, "--out", "new"),
        ("translate", run, path),
    ):
        mentions(refused(*command), path)


NAN = float("nan")
CHANGES = {
    "a flipped bit": None,
    "NaN": lambda tensor: tensor * NAN,
    "infinity": lambda tensor: tensor / 0,
    "too large for float32": lambda tensor: torch.full_like(tensor, 1e300, dtype=torch.float64),
    "int64": lambda tensor: tensor.long(),
    "uint8": lambda tensor: tensor.byte(),
    "bool": lambda tensor: tensor.bool(),
    "complex": lambda tensor: tensor.to(torch.complex64),
}
"""Ways to spoil a file of weights: by damage, or in a file that is whole."""


def spoil(file: Path, change: str) -> str:
    """Spoil a tensor of a generator in a file; return its name."""
    alter = CHANGES[change]
    tensors, content = read(file)
    name = next(name for name, one in tensors.items() if name.startswith("generators.a2b") and one.abs().max() > 0)
    if alter is None:
        whole = bytearray(file.read_bytes())
        whole[whole.index(tensors[name].numpy().tobytes())] ^= 1
        file.write_bytes(whole)
    else:
        write(file, {**tensors, name: alter(tensors[name])}, content)
    return name


@pytest.mark.parametrize(("command", "change"), alternated(list(COMMANDS), list(CHANGES)))
def test_spoilt_weights_are_refused_by_every_command(refused, run, tmp_path, command, change) -> None:
    name, before = spoil(run / "model.safetensors", change), listing(tmp_path)
    mentions(refused(*on(run, command)), run / "model.safetensors", name)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("change", CHANGES)
def test_a_spoilt_group_is_not_attached(refused, run, change) -> None:
    file = run / "groups" / "kid.safetensors"
    tensor = spoil(file, change)
    before = (run / "model.safetensors").read_bytes()
    mentions(refused("groups", "attach", run, file, "--name", "boy", "--overwrite"), file, tensor)
    assert (run / "model.safetensors").read_bytes() == before


def test_half_precision_is_converted(i2i, run) -> None:
    tensors, content = read(run / "model.safetensors")
    write(run / "model.safetensors", {name: one.half() for name, one in tensors.items()}, content)
    assert i2i("translate", run, "photo.png").status == 0


def test_the_pixels_of_a_translation_are_bounded(i2i, refused, run) -> None:
    Image.new("L", (1, 12_000)).save("long.png")
    mentions(refused("translate", run, "long.png", "--out", "out"), "long.png", 12_000, "--max-pixels")
    assert i2i("translate", run, "photo.png", "--out", "out", "--max-pixels", "2000").status == 0
    message = refused("translate", run, "photo.png", "--out", "other", "--max-pixels", "1000")
    mentions(message, "photo.png", 1000, "--max-pixels")
    assert not Path("other").exists()


def test_training_images_too_long_are_named_before_the_start(refused, own_root, out) -> None:
    Image.new("L", (1, 12_000)).save(own_root / "kid" / "trainA" / "long.png")
    mentions(refused("run", *TINY, "--data", own_root, "--out", out), own_root / "kid/trainA/long.png", 12_000)
    assert not out.exists()


@pytest.mark.parametrize("path", ["x" * 300, "x/" * 3000 + "x", "~nobody-here/x", "loop/x", "photo.png/x"])
def test_paths_that_the_system_refuses(refused, run, tmp_path, path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for command in (
        ("translate", path, "photo.png"),
        ("translate", run, path),
        ("evaluate", path),
        ("run", "--config", path, "--out", "new"),
        ("run", *TINY, "--data", f"{path}/", "--out", "new"),
        ("import", path, "--out", "new"),
        ("groups", "attach", run, path, "--overwrite"),
        ("report", path),
    ):
        refused(*command, varies="x[x/]{40,}…?")


@pytest.mark.parametrize("path", ["", "."])
def test_a_run_does_not_take_a_full_working_folder(refused, run, tmp_path, path) -> None:
    before = listing(tmp_path)
    mentions(refused("run", "--config", run / "run.toml", "--out", path), "--out")
    assert listing(tmp_path) == before
