"""Other projects' checkpoints, from their files to ours and back."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import i2i
from i2i import CheckpointFormat
from i2i.errors import CheckpointError, ConfigError, DataError, UnknownComponentError
from i2i.exchange.exporting import export_checkpoint, only
from i2i.exchange.importing import import_checkpoint, read_foreign
from i2i.models.assembly import resolve
from i2i.storage.run_folder import read_config
from tests.shared import golden
from tests.wording import check, refused

CYCLEGAN = [f"latest_net_{name}.pth" for name in ("G_A", "G_B", "D_A", "D_B")]
CHECKPOINTS: dict[str, tuple[str, dict[str, str]]] = {
    "ugatit light": ("ugatit-pytorch", {"ugatit_light.pt": ""}),
    "ugatit full": ("ugatit-pytorch", {"ugatit_full.pt": ""}),
    "cyclegan 6": ("pytorch-cyclegan", {f"cyclegan_resnet_6blocks_{name}": name for name in CYCLEGAN}),
    "unit": ("unit", {"unit_gen_00001000.pt": "gen_00000000.pt", "unit_dis_00001000.pt": "dis_00000000.pt"}),
    "photo2cartoon": ("photo2cartoon", {"photo2cartoon.pt": ""}),
    "fewshot": ("fewshot", {"fewshot.pt": ""}),
    "cyclegan 9": ("pytorch-cyclegan", {f"cyclegan_resnet_9blocks_{name}": name for name in CYCLEGAN}),
}
"""Case to the format's name, and its golden files with the names that the project gives them."""


class Evil:
    """What pickle runs on reading."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("hacked",)


@pytest.fixture(params=CHECKPOINTS)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A format and a folder with the files that its project wrote; a lone file is named itself."""
    name, files = CHECKPOINTS[request.param]
    folder = tmp_path / "published"
    folder.mkdir()
    copies = [Path(shutil.copy(golden(file), folder / (own or file))) for file, own in files.items()]
    return name, folder if len(copies) > 1 else copies[0]


@pytest.fixture
def light(tmp_path: Path, registry: i2i.Registry) -> i2i.Model:
    return import_checkpoint(golden("ugatit_light.pt"), tmp_path / "light", registry, size=128).model


def contents(path: Path) -> dict[str, Any]:
    """All that a checkpoint's files hold, by file."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: torch.load(file, weights_only=True) for file in files}


def same(first: Any, second: Any) -> bool:
    """Say whether nested state dicts have equal keys and equal bits."""
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())


def test_import_and_export_return_every_bit(published, tmp_path, registry) -> None:
    name, path = published
    arrival = import_checkpoint(path, tmp_path / "run", registry, size=128)
    assert arrival.format == name
    assert not [note for note in arrival.notes if "starts anew" in note]
    loaded = i2i.load(tmp_path / "run")
    files = export_checkpoint(loaded, name, tmp_path / "back", registry)
    expected, actual = contents(path), contents(tmp_path / "back")
    if path.is_file():  # a lone file's name is the user's
        assert len(files) == 1
        expected, actual = {"": next(iter(expected.values()))}, {"": next(iter(actual.values()))}
    assert expected.keys() == actual.keys()
    assert all(same(value, actual[key]) for key, value in expected.items())


def test_an_imported_run_translates_and_names_its_parts(published, tmp_path, registry) -> None:
    _, path = published
    import_checkpoint(path, tmp_path / "run", registry, size=128)
    model = i2i.load(tmp_path / "run")
    assert model.size == 128
    assert model.components.config.backbone["channels"] == 4
    image = model.translate(torch.rand(3, 128, 128) * 2 - 1)
    assert image.shape == (3, 128, 128)
    assert image.std() > 0


def test_training_goes_on_with_the_published_options(light) -> None:
    config = light.components.config
    assert (config.preset, config.batch_size, config.backbone["lr"]) == ("paper", 1, 1e-4)
    assert config.loss["cam"]["weight"] == 1000


def test_networks_that_are_missing_start_anew_and_are_named(tmp_path, registry) -> None:
    states = torch.load(golden("ugatit_light.pt"), weights_only=True)
    torch.save({"genA2B": states["genA2B"]}, tmp_path / "half.pt")
    notes = import_checkpoint(tmp_path / "half.pt", tmp_path / "run", registry, size=128).notes
    for note, missing in zip(
        notes, ("discriminator of domain a", "discriminator of domain b", "generator b2a"), strict=True
    ):
        check(note, tmp_path / "half.pt", missing)


def test_a_file_that_would_run_code_is_refused_by_name(tmp_path, registry, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"genA2B": {"DownBlock.1.weight": torch.zeros(1)}, "extra": Evil()}, "evil.pt")
    Path("raw.pt").write_bytes(pickle.dumps(Evil()))
    with refused(CheckpointError, "evil.pt", "posix.mkdir"):
        import_checkpoint(Path("evil.pt"), Path("run"), registry)
    with refused(CheckpointError, "raw.pt"):
        import_checkpoint(Path("raw.pt"), Path("run"), registry)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.pt", "raw.pt"]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"], ids=["empty", "text", "cut"])
def test_damaged_files_are_named(tmp_path, content) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with refused(CheckpointError, "x.pt"):
        read_foreign(tmp_path / "x.pt")


def test_a_cut_checkpoint_is_damaged(tmp_path) -> None:
    (tmp_path / "x.pt").write_bytes(golden("ugatit_light.pt").read_bytes()[:5000])
    with refused(CheckpointError, "x.pt"):
        read_foreign(tmp_path / "x.pt")


def test_what_is_no_checkpoint_is_refused(tmp_path, registry) -> None:
    torch.save(torch.zeros(3), tmp_path / "tensor.pt")
    torch.save({"state": {"w": torch.zeros(3)}, "epoch": 4}, tmp_path / "other.pt")
    torch.save({}, tmp_path / "empty.pt")
    torch.save({"genA2B": {0: torch.zeros(3)}}, tmp_path / "numbers.pt")
    (tmp_path / "x.bin").touch()
    bare, own = tmp_path / "bare", tmp_path / "own"
    bare.mkdir()
    own.mkdir()
    (own / "run.toml").touch()
    known = registry.names(CheckpointFormat)
    for path, named in {
        tmp_path / "none.pt": [],
        tmp_path / "tensor.pt": ["Tensor"],
        tmp_path / "other.pt": ["state", "epoch", *known],
        tmp_path / "empty.pt": known,
        tmp_path / "numbers.pt": ["genA2B", *known],
        tmp_path / "x.bin": [".pt", ".pth", ".pkl", ".ckpt", *known],
        tmp_path: [tmp_path / "tensor.pt", *known],
        bare: known,
        own: ["i2i translate"],
    }.items():
        with refused(CheckpointError, path, *named):
            import_checkpoint(path, tmp_path / "run", registry)
    assert not (tmp_path / "run").exists()


def test_a_parameter_that_is_missing_is_named_with_file_and_format(tmp_path, registry) -> None:
    states = torch.load(golden("ugatit_light.pt"), weights_only=True)
    del states["genA2B"]["gamma.weight"]
    torch.save(states, tmp_path / "x.pt")
    with refused(CheckpointError, "x.pt", "ugatit-pytorch", "genA2B", "gamma.weight"):
        import_checkpoint(tmp_path / "x.pt", tmp_path / "run", registry, size=128)
    assert not (tmp_path / "run").exists()


def test_what_should_be_a_tensor_and_is_none_is_named(tmp_path, registry) -> None:
    states = torch.load(golden("ugatit_light.pt"), weights_only=True)
    states["genA2B"]["gamma.weight"] = 3
    torch.save(states, tmp_path / "x.pt")
    with refused(CheckpointError, "genA2B", "gamma.weight"):
        import_checkpoint(tmp_path / "x.pt", tmp_path / "run", registry, size=128)


@pytest.mark.parametrize("value", [torch.tensor(1.0), torch.zeros(5), torch.zeros(0, 3, 7, 7), torch.zeros(1, 1)])
@pytest.mark.parametrize("key", ["DownBlock.1.weight", "FC.0.weight"])
def test_shapes_that_no_network_has_are_refused_by_name(tmp_path, registry, key, value) -> None:
    states = torch.load(golden("ugatit_light.pt"), weights_only=True)
    states["genA2B"][key] = value
    torch.save(states, tmp_path / "x.pt")
    with refused(CheckpointError, "x.pt", "ugatit-pytorch"):
        import_checkpoint(tmp_path / "x.pt", tmp_path / "run", registry, size=128)
    assert not (tmp_path / "run").exists()


def test_a_training_that_had_broken_down_is_refused(tmp_path, registry) -> None:
    states = torch.load(golden("ugatit_light.pt"), weights_only=True)
    states["genB2A"]["gamma.weight"][0, 0] = torch.nan
    torch.save(states, tmp_path / "x.pt")
    with refused(CheckpointError, "generators.b2a"):
        import_checkpoint(tmp_path / "x.pt", tmp_path / "run", registry, size=128)


def test_a_size_that_the_networks_cannot_have_is_told_with_file_and_format(tmp_path, registry) -> None:
    with refused(CheckpointError, "fewshot.pt", "fewshot", 7, 128, 32):
        import_checkpoint(golden("fewshot.pt"), tmp_path / "run", registry, size=32)


def test_a_folder_with_checkpoints_of_several_formats_says_which_was_taken(tmp_path, registry) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    for name in CYCLEGAN:
        shutil.copy(golden(f"cyclegan_resnet_6blocks_{name}"), folder / name)
    for part in ("gen", "dis"):
        shutil.copy(golden(f"unit_{part}_00001000.pt"), folder / f"{part}_00001000.pt")
    arrival = import_checkpoint(folder, tmp_path / "taken", registry, size=64)
    assert arrival.format == "pytorch-cyclegan"
    assert sorted(file.name for file in arrival.sources) == sorted(CYCLEGAN)
    check(arrival.notes[0], "pytorch-cyclegan", "unit", "gen_00001000.pt", "dis_00001000.pt")
    arrival = import_checkpoint(folder / "gen_00001000.pt", tmp_path / "other", registry, size=64)
    assert (arrival.format, arrival.notes) == ("unit", ())
    assert sorted(file.name for file in arrival.sources) == ["dis_00001000.pt", "gen_00001000.pt"]


def test_the_only_checkpoint_in_a_folder_may_have_any_name(tmp_path, registry) -> None:
    (tmp_path / "exported").mkdir()
    file = Path(shutil.copy(golden("ugatit_light.pt"), tmp_path / "exported" / "ugatit_params_latest.pt"))
    assert import_checkpoint(tmp_path / "exported", tmp_path / "run", registry, size=128).sources == (file,)
    shutil.copy(file, tmp_path / "exported" / "other.pt")
    with refused(CheckpointError, tmp_path / "exported", file.name):
        import_checkpoint(tmp_path / "exported", tmp_path / "none", registry, size=128)


def test_a_run_names_no_data_unless_it_is_told(tmp_path, registry) -> None:
    path = golden("ugatit_light.pt")
    import_checkpoint(path, tmp_path / "run", registry, size=128)
    assert not read_config(tmp_path / "run").get("data")
    data = {"name": "folder", "root": str(tmp_path / "nowhere")}
    with refused(DataError, tmp_path / "nowhere"):
        import_checkpoint(path, tmp_path / "none", registry, size=128, data=data)
    assert not (tmp_path / "none").exists()


def test_a_run_folder_is_not_replaced_unasked(tmp_path, registry) -> None:
    path = golden("ugatit_light.pt")
    import_checkpoint(path, tmp_path / "run", registry, size=128)
    with refused(ConfigError, f"i2i run --resume {tmp_path}/run", "--overwrite"):
        import_checkpoint(path, tmp_path / "run", registry, size=128)
    import_checkpoint(path, tmp_path / "run", registry, size=128, overwrite=True)


def test_an_interrupted_import_leaves_no_run(tmp_path, registry, monkeypatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("i2i.exchange.importing.save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        import_checkpoint(golden("ugatit_light.pt"), tmp_path / "run", registry, size=128)
    assert list((tmp_path / "run").iterdir()) == []


def test_exports_are_not_replaced_unasked_and_fit_their_place(light, tmp_path, registry) -> None:
    assert export_checkpoint(light, "ugatit-pytorch", tmp_path / "x.pt", registry) == [tmp_path / "x.pt"]
    with refused(ConfigError, "x.pt"):
        export_checkpoint(light, "ugatit-pytorch", tmp_path / "x.pt", registry)
    with refused(ConfigError, "x.pt", "--out"):
        export_checkpoint(light, "ugatit-pytorch", tmp_path / "x.pt", registry, None, True, [tmp_path / "x.pt"])
    (tmp_path / "dot.ted").mkdir()
    into = export_checkpoint(light, "ugatit-pytorch", tmp_path / "dot.ted", registry)
    assert into == [tmp_path / "dot.ted" / "ugatit_params_latest.pt"]
    with refused(UnknownComponentError, "ugatit-pytorch"):
        export_checkpoint(light, "ugatit-torch", tmp_path / "y.pt", registry)
    with refused(CheckpointError, "'ugatit'", "--generator resnet"):
        export_checkpoint(light, "pytorch-cyclegan", tmp_path / "y", registry)


@pytest.mark.parametrize("judge", ["branched", "classification"])
def test_one_group_of_a_model_is_exported_as_a_model_of_its_own(light, tmp_path, registry, judge) -> None:
    given = {**light.components.config.model_dump(mode="json"), "transfer": {"name": "branch", "judge": judge}}
    light.adapt(resolve(given, registry), ["man"])
    with torch.no_grad():
        for name, parameter in light.backbone.named_parameters():
            if ".man." in name:
                parameter.mul_(1.5)
    with refused(CheckpointError, "all", "man"):
        export_checkpoint(light, "ugatit-pytorch", tmp_path / "x.pt", registry)
    export_checkpoint(light, "ugatit-pytorch", tmp_path / "x.pt", registry, group="man")
    back = import_checkpoint(tmp_path / "x.pt", tmp_path / "back", registry, size=128).model
    x = torch.rand(1, 3, 128, 128) * 2 - 1
    assert torch.equal(back.translate(x), light.translate(x, "man"))
    assert not torch.equal(back.translate(x), light.translate(x, "all"))
    with refused(ConfigError, "men", "man"):
        only(light, "men")


def generator() -> dict[str, torch.Tensor]:
    """A generator as pytorch-CycleGAN-and-pix2pix saves it."""
    return dict(torch.load(golden("cyclegan_resnet_6blocks_latest_net_G_A.pth"), weights_only=True))


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("horse2zebra.pth", "b2a"),
        ("netG_A2B.pth", "b2a"),
        ("netG_B2A.pth", "a2b"),
        ("latest_net_G_B.pth", "a2b"),
        ("generator.pt", "b2a"),
        ("GENERATOR.PTH", "b2a"),
    ],
)
def test_a_lone_generator_is_recognised_by_its_content(tmp_path, registry, name, lacks) -> None:
    torch.save(generator(), tmp_path / name)
    arrival = import_checkpoint(tmp_path / name, tmp_path / "run", registry)
    assert arrival.format == "pytorch-cyclegan"
    assert any(f"no generator {lacks}" in note for note in arrival.notes)


WRAPPERS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], dict[str, Any]], tuple[str, ...]]] = {
    "module": (lambda state: {f"module.module.{key}": one for key, one in state.items()}, ("DataParallel",)),
    "compiled": (
        lambda state: {f"module._orig_mod.{key}": one for key, one in state.items()},
        ("DataParallel", "torch.compile"),
    ),
    "state_dict": (lambda state: {"state_dict": state, "epoch": 3}, ("'state_dict'",)),
    "nested": (lambda state: {"model": {"state_dict": state}, "optimizer": {}}, ("'model.state_dict'",)),
    "average": (lambda state: {"g_ema": state, "args": None}, ("'g_ema'",)),
    "half": (lambda state: {key: one.half() for key, one in state.items()}, ("float16",)),
    "double": (lambda state: {key: one.double() for key, one in state.items()}, ("float64",)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_looked_through_and_said(tmp_path, registry, wrapper) -> None:
    wrap, said = WRAPPERS[wrapper]
    torch.save(wrap(generator()), tmp_path / "x.pth")
    arrival = import_checkpoint(tmp_path / "x.pth", tmp_path / "run", registry)
    for words in said:
        assert any(words in note for note in arrival.notes)
    plain = tmp_path / "plain.pth"
    torch.save(generator(), plain)
    ours = import_checkpoint(plain, tmp_path / "plain", registry).model.backbone.generators["a2b"].state_dict()
    for key, one in arrival.model.backbone.generators["a2b"].state_dict().items():
        assert one.dtype == torch.float32
        assert torch.allclose(one, ours[key], atol=1e-3)


@pytest.mark.parametrize("kind", ["meta", "int64", "quantised"])
@pytest.mark.filterwarnings("ignore")  # of quantised tensors
def test_tensors_that_are_no_weights_are_refused(tmp_path, registry, kind) -> None:
    state = generator()
    key = "model.1.weight"
    state[key] = {
        "meta": lambda x: x.to("meta"),
        "int64": lambda x: x.long(),
        "quantised": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    }[kind](state[key])
    torch.save(state, tmp_path / "x.pth")
    with refused(CheckpointError, tmp_path / "x.pth", kind):
        import_checkpoint(tmp_path / "x.pth", tmp_path / "run", registry)
