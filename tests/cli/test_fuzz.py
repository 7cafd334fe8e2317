"""Files damaged or forged at random, given to commands.

Each command ends with status 0 or 2 within 30 seconds, takes less than 2 GB, and writes nothing elsewhere.

Each seed makes one input. The default run takes 28; ``-m fuzz`` takes 3,500 more.
"""

from __future__ import annotations

import io
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from i2i.images.files import MAX_PIXELS
from i2i.runs.run import Stopped, create_run
from i2i.storage.tensor_file import read, write
from tests.cli.conftest import Command
from tests.limits import bounded

ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 7, 2**31, 10**30, 0.5, -0.0, float("nan"), float("inf"), "", "x", "../evil", "/evil", "a\0b",
    "\ud800", "x" * 5000, "[red]", "kid", [], [1], ["kid", "kid"], [[[]]], {}, {"name": "x"}, {"": {"": ""}},
)  # fmt: skip
"""Values that may replace any in a description."""

ODD_TEXTS = (
    "-1", "0", "1e400", "nan", "-inf", "9" * 40, '""', '"../evil"', '"[red]"', "[]", "[1, 'a']", "{}", "true",
    "1979-05-27", '"\\u0000"', f'"{"x" * 5000}"', "'", "[[",
)  # fmt: skip
"""Values, some of them invalid, that may replace any in a TOML file."""

MODEL_COMMANDS = (
    ("groups", "list", "{run}"),
    ("groups", "remove", "{run}", "kid", "--overwrite"),
    ("groups", "export", "{run}", "kid", "--out", "new.safetensors"),
    ("translate", "{run}", "photo.png", "--group", "kid", "--out", "new"),
    ("evaluate", "{run}"),
    ("report", "{run}"),
    ("export", "{run}", "--format", "ugatit-pytorch", "--group", "kid", "--out", "new"),
)
RUN_COMMANDS = (
    ("run", "--resume", "{run}"),
    ("run", "--config", "{run}/run.toml", "--out", "new"),
    ("evaluate", "{run}"),
    ("report", "{run}"),
    ("groups", "list", "{run}"),
)
FORMATS = ("png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm", "ico")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def halted(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that stopped after two steps; read it, never write to it."""
    folder = tmp_path_factory.mktemp("halted") / "run"
    with pytest.raises(Stopped):
        create_run(folder, tiny).execute(stop_after=2)
    return folder


class Case:
    """One input in a folder of its own.

    Args:
        folder: The folder; the input and the working directory are in ``folder/work``.
        seed: What the randomness starts from.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.outside, self.work = folder, folder / "work"
        self.run = self.work / "run"
        self.work.mkdir(parents=True)
        Image.new("RGB", (20, 16)).save(self.work / "photo.png")

    def check(self, i2i: Command, *words: object) -> None:
        """Run a command line on the input."""
        os.chdir(self.work)
        command = [str(word).format(run=self.run) for word in words]
        with bounded():
            result = i2i(*command)
        assert result.status in (0, 2), (command, result)
        assert "Traceback" not in result.out + result.err, (command, result)
        assert (result.status == 2) == ("error: " in result.err), (command, result)
        assert set(self.outside.iterdir()) == {self.work}, command


def damage_bytes(content: bytes, dice: random.Random) -> bytes:
    """Change, remove, repeat or cut some bytes."""
    changed = bytearray(content)
    for _ in range(dice.choice((1, 1, 3, 30))):
        at, length = dice.randrange(len(changed) + 1), dice.choice((1, 4, 100))
        match dice.randrange(5):
            case 0:
                changed[at : at + length] = dice.randbytes(length)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                changed[at : at + 1] = dice.choice((b"\0", b"\xff", b"\x7f", b"\x80"))
            case _:
                del changed[max(at, 1) :]
    return bytes(changed)


def damage_toml(text: str, dice: random.Random) -> bytes:
    """Change a value, remove or repeat a line, or damage the bytes."""
    lines = text.splitlines()
    at = dice.choice([number for number, line in enumerate(lines) if line])
    match dice.randrange(5):
        case 0 | 1:
            lines[at] = f"{lines[at].partition(' = ')[0]} = {dice.choice(ODD_TEXTS)}"
        case 2:
            del lines[at]
        case 3:
            lines.insert(dice.randrange(len(lines)), lines[at])
        case _:
            return damage_bytes(text.encode(), dice)
    return "\n".join(lines).encode()


def forged(content: Any, dice: random.Random) -> Any:
    """Replace or remove one value, at any depth of a description."""
    if isinstance(content, dict) and content and dice.random() < 0.9:
        key = dice.choice(list(content))
        if dice.random() < 0.1:
            return {name: value for name, value in content.items() if name != key}
        return {**content, key: forged(content[key], dice)}
    if isinstance(content, list) and content and dice.random() < 0.5:
        at = dice.randrange(len(content))
        return [*content[:at], forged(content[at], dice), *content[at + 1 :]]
    return dice.choice(ODD_VALUES)


def forge(file: Path, dice: random.Random) -> None:
    """Rewrite a tensor file with another description or another tensor, and valid digests; or damage its bytes."""
    tensors, content = read(file)
    name = dice.choice(sorted(tensors))
    match dice.randrange(6):
        case 0:
            file.write_bytes(damage_bytes(file.read_bytes(), dice))
        case 1:
            odd = (torch.zeros(0), torch.tensor(float("nan")), tensors[name].flatten(), tensors[name].long())
            write(file, {**tensors, name: dice.choice(odd)}, content)
        case 2:
            write(file, {one: tensor for one, tensor in tensors.items() if one != name}, content)
        case _:
            new = forged(content, dice)
            write(file, tensors, new if isinstance(new, dict) else {"format": 1})


def fuzz_config(case: Case, i2i: Command, trained: Path, halted: Path) -> None:
    case.run.mkdir()
    for path in trained.glob("*.*"):
        shutil.copy(path, case.run)
    text = (trained / "run.toml").read_text()
    (case.run / "run.toml").write_bytes(damage_toml(text, case.random))
    case.check(i2i, *case.random.choice(RUN_COMMANDS))


def fuzz_model(case: Case, i2i: Command, trained: Path, halted: Path) -> None:
    shutil.copytree(trained, case.run)
    forge(case.run / "model.safetensors", case.random)
    case.check(i2i, *case.random.choice(MODEL_COMMANDS))


def fuzz_group(case: Case, i2i: Command, trained: Path, halted: Path) -> None:
    shutil.copytree(trained, case.run)
    forge(case.run / "groups" / "kid.safetensors", case.random)
    case.check(i2i, "groups", "attach", "{run}", "{run}/groups/kid.safetensors", "--overwrite")


def fuzz_image(case: Case, i2i: Command, trained: Path, halted: Path) -> None:
    kind = case.random.choice(FORMATS)
    picture = Image.effect_noise((24, 20), 50).convert(case.random.choice(("L", "RGB", "1", "P")))
    if kind in ("jpeg", "ppm", "webp"):
        picture = picture.convert("RGB")
    stream = io.BytesIO()
    picture.save(stream, kind)
    name = case.random.choice((f"bad.{kind}", "bad.png"))
    (case.work / name).write_bytes(damage_bytes(stream.getvalue(), case.random))
    case.check(i2i, "translate", trained, name, "--out", "new", "--format", "png")


def fuzz_size(case: Case, i2i: Command, trained: Path, halted: Path) -> None:
    """Give an image of many pixels in a small file."""
    kind, mode = case.random.choice(FORMATS[:6]), case.random.choice(("1", "L", "P", "RGB", "RGBA"))
    width, height = (round(2 ** case.random.uniform(0, 16)) for _ in range(2))
    if width * height > MAX_PIXELS * 2:
        height = 2 * MAX_PIXELS // width
    mode = "L" if kind in ("jpeg", "bmp") and mode != "RGB" else mode
    name = case.work / f"large.{kind}"
    try:
        Image.new(mode, (width, height)).save(name, kind)
    except (OSError, ValueError):
        name.write_bytes(b"")  # the format has no images of this size
    if name.stat().st_size < 2**20:
        case.check(i2i, "translate", trained, name.name, "--out", "new", "--format", "png", "--overwrite")


def fuzz_state(case: Case, i2i: Command, trained: Path, halted: Path) -> None:
    shutil.copytree(halted, case.run)
    forge(case.run / "state.safetensors", case.random)
    case.check(i2i, "run", "--resume", "{run}")


def fuzz_checkpoint(case: Case, i2i: Command, trained: Path, halted: Path) -> None:
    content: Any = {"genA2B": {"a.weight": torch.ones(2, 3)}, "n": [1, {"b": torch.zeros(4)}]}
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=case.random.random() < 0.5)
    (case.work / "x.pth").write_bytes(damage_bytes(stream.getvalue(), case.random))
    case.check(i2i, "import", "x.pth", "--out", "new")


KINDS: tuple[Callable[[Case, Command, Path, Path], None], ...] = (
    fuzz_config, fuzz_model, fuzz_group, fuzz_image, fuzz_size, fuzz_state, fuzz_checkpoint
)  # fmt: skip


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.removeprefix("fuzz_"))
def fuzz(request, i2i, trained, halted, tmp_path, monkeypatch) -> Callable[[int], None]:
    """Give commands the input of a seed."""
    monkeypatch.chdir(tmp_path)
    if request.param is fuzz_config:
        monkeypatch.setattr("i2i.runs.run.Run.execute", lambda *_, **__: None)

    def call(seed: int) -> None:
        folder = tmp_path / str(seed)
        request.param(Case(folder, seed), i2i, trained, halted)
        shutil.rmtree(folder)

    return call


@pytest.mark.parametrize("seed", range(4))
def test_odd_files_are_refused_or_read(fuzz, seed) -> None:
    fuzz(seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(1000, 1500, 50))
def test_many_odd_files_are_refused_or_read(fuzz, first) -> None:
    for seed in range(first, first + 50):
        fuzz(seed)
