"""One more group for a model that has groups: everything of the others stays, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import i2i
from i2i.config.options import merge
from i2i.errors import ConfigError, DataError, UnknownComponentError
from i2i.groups.stored import attach, open_model
from i2i.models import checkpoint
from i2i.models.description import read_model_description
from i2i.registry.registry import Registry, installed
from i2i.runs.run import Run, Stopped, create_run
from i2i.storage import tensor_file
from i2i.storage.toml import read_toml
from tests.conftest import write_noise
from tests.contracts.test_dataset import PLUGIN
from tests.evaluation.test_best import Provider
from tests.groups.test_stored import made
from tests.sampling import sampled
from tests.wording import mentions, refused

TRANSFERS: dict[str, dict[str, Any]] = {
    "branched": {"name": "branch", "judge": "branched"},
    "branched deep": {"name": "branch", "judge": "branched", "judge_depth": 1},
    "classification": {"name": "branch", "judge": "classification"},
    "projection": {"name": "branch", "judge": "projection"},
    "both": {"name": "branch", "judge": "branched+classification"},
    "released": {"name": "branch", "judge": "classification", "updates": "released", "cam": "group"},
    "branch-free": {"name": "branch-free"},
    "adapter": {"name": "adapter"},
    "finetune": {"name": "finetune"},
    "freeze-d": {"name": "freeze-d"},
}


@pytest.fixture
def root(tmp_path) -> Path:
    """A group with one target image."""
    write_noise(tmp_path / "baby" / "trainA", 2)
    write_noise(tmp_path / "baby" / "trainB", 1)
    return tmp_path / "baby"


class Adder:
    """Adds groups to a model of noise; ``before`` is what it was."""

    def __init__(self, tiny: dict[str, Any], registry: Registry, folder: Path, root: Path) -> None:
        self.tiny, self.registry, self.folder, self.root = tiny, registry, folder, root

    def start(self, transfer: dict[str, Any], groups: tuple[str, ...] = ("man", "kid")) -> Path:
        file = self.folder / "model.safetensors"
        backbone = {"name": "ugatit" if "cam" in transfer else "cyclegan"}  # which is faster, but has no CAM
        model = made(self.tiny, self.registry, groups, backbone=backbone, transfer=transfer)
        checkpoint.save(model, file)
        return file

    def create(self, file: Path, name: str = "baby", out: str = "out", registry: Registry | None = None, **more) -> Run:
        description = read_model_description(file)
        added = {"group": name, "root": str(self.root), **more.pop("added", {})}
        given = {"stages": ["transfer"], "base_model": str(file), "added": added, "data": self.tiny["data"]}
        quick = {"device": "cpu", "transfer_steps": 2, "evaluate": self.tiny["evaluate"]}
        given = merge(description.config.content(), quick, given, more)
        return create_run(self.folder / out, given, registry or self.registry)

    def add(self, file: Path, name: str = "baby", out: str = "out", **more) -> Path:
        self.create(file, name, out, **more).execute()
        return self.folder / out / "model.safetensors"


@pytest.fixture
def adder(tiny, registry, tmp_path, root) -> Adder:
    return Adder(tiny, registry, tmp_path, root)


def changed(before: Path, after: Path) -> set[str]:
    """Return the names of tensors in ``before`` that ``after`` has otherwise, in the rows that both have."""
    old, new = (tensor_file.read(file)[0] for file in (before, after))
    return {name for name, tensor in old.items() if not torch.equal(tensor, new[name][: len(tensor)] if tensor.ndim
                                                                     else new[name])}  # fmt: skip


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_all_else_keeps_every_bit_and_the_group_learns(adder, registry, transfer) -> None:
    before = adder.start(TRANSFERS[transfer])
    after = adder.add(before)
    assert changed(before, after) == set()
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    old, new = i2i.load(before, registry), i2i.load(after, registry)
    assert new.groups == (*old.groups, "baby")
    for group in old.groups:
        assert torch.equal(new.translate(x, group), old.translate(x, group))
    assert not torch.equal(new.translate(x, "baby"), new.translate(x))
    stored = open_model(after, registry)
    assert stored.fingerprint() == open_model(before, registry).fingerprint()
    assert (after.parent / "groups").exists() == bool(stored.ownership.shared)


def test_heads_say_of_others_what_they_said(adder, registry) -> None:
    before = adder.start(TRANSFERS["classification"])
    after = adder.add(before)
    x = torch.rand(4, 3, 32, 32) * 2 - 1
    for domain in ("a", "b"):
        models = [i2i.load(file, registry, judges=True) for file in (before, after)]
        old, new = (model.backbone.eval().discriminators[domain](x) for model in models)
        for was, now in zip(old.group_logits, new.group_logits, strict=True):
            assert now.shape == (4, 4)
            torch.testing.assert_close(now[:, :3], was, rtol=1e-5, atol=1e-6)


def test_the_file_of_an_added_group_gives_the_same_model_elsewhere(adder, registry, tmp_path) -> None:
    before = adder.start(TRANSFERS["classification"])  # whose judges are rows of shared heads
    after = adder.add(before)
    again = attach(open_model(before, registry), after.parent / "groups" / "baby.safetensors")
    added, _ = tensor_file.read(after)
    assert again.groups == ("man", "kid", "baby")
    assert all(torch.equal(tensor, added[name]) for name, tensor in again.tensors.items())


def test_with_the_trunk_all_other_branches_keep_every_bit(adder) -> None:
    before = adder.start(TRANSFERS["branched"])
    moved = changed(before, adder.add(before, added={"train_trunk": True}))
    assert {".branches.man." in name or ".branches.kid." in name for name in moved} == {False}
    assert any(".branches.woman." in name for name in moved)
    assert any(name.startswith("generators.") and ".branches." not in name for name in moved)


@pytest.mark.full
def test_one_after_another_to_twelve(adder, registry) -> None:
    file = first = adder.start(TRANSFERS["branched"], tuple(f"g{number}" for number in range(10)))
    for number in range(2):
        file = adder.add(file, f"more{number}", f"out{number}", transfer_steps=1)
    assert changed(first, file) == set()
    assert changed(adder.folder / "out0" / "model.safetensors", file) == set()
    assert len(i2i.load(file, registry).groups) == 1 + 12


@pytest.mark.parametrize("transfer", sampled("classification", "branched"))
def test_stopped_and_resumed_ends_with_the_same_bytes(adder, registry, transfer) -> None:
    before = adder.start(TRANSFERS[transfer])
    whole = adder.add(before, out="whole", transfer_steps=3)
    run = adder.create(before, out="parts", transfer_steps=3)
    with pytest.raises(Stopped):
        run.execute(stop_after=1)
    Run(adder.folder / "parts", registry).execute()
    assert (adder.folder / "parts" / "model.safetensors").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("transfer", sampled("classification", "branched"))
def test_models_on_the_way_keep_every_bit_too_and_training_goes_on(adder, root, transfer) -> None:
    for part in ("testA", "testB"):
        write_noise(root / part, 1)
    file, registry = adder.start(TRANSFERS[transfer]), Registry()
    registry.add(Provider(), "provider")
    more = {"transfer_steps": 3, "ema": 0.5, "registry": registry}
    alone = adder.add(file, **more, evaluate={"metrics": ["l1"]})
    watch = {"every": 1, "metrics": ["brightness"]}
    watched = adder.add(file, out="watched", keep_every=1, **more, evaluate=watch)
    assert alone.read_bytes() == watched.read_bytes()
    on_the_way = sorted((watched.parent / "steps").iterdir())
    assert len(on_the_way) == 3
    assert on_the_way[-1].read_bytes() == alone.read_bytes()
    for kept in (*on_the_way, watched.parent / "best.safetensors"):
        assert changed(file, kept) == set()


def test_with_averaged_weights_all_else_keeps_every_bit(adder) -> None:
    before = adder.start(TRANSFERS["branched"])
    assert changed(before, adder.add(before, ema=0.9)) == set()


class TestData:
    def test_only_the_new_groups_is_read_where_that_is_enough(self, adder) -> None:
        file = adder.start(TRANSFERS["branched"])
        run = adder.create(file, data={"name": "folder", "root": "/gone"})
        assert (run.dataset.groups, run.dataset.base) == (("baby",), "woman")

    def test_the_base_joins_for_the_trunk_and_all_join_for_heads(self, adder) -> None:
        file = adder.start(TRANSFERS["branched"])
        assert adder.create(file, added={"train_trunk": True}).dataset.groups == ("woman", "baby")
        file = adder.start(TRANSFERS["classification"])
        assert adder.create(file, out="two").dataset.groups == ("woman", "kid", "man", "baby")

    def test_a_plugins_group_by_its_name(self, adder, install, root, registry) -> None:
        file = adder.start(TRANSFERS["branched"])
        install("my-robots", PLUGIN.format(name="robot", root=str(root)))
        run = adder.create(file, "robot", added={"root": None}, registry=installed())
        run.execute()
        assert i2i.load(adder.folder / "out", registry).groups == ("woman", "man", "kid", "robot")
        assert "root" not in read_toml(adder.folder / "out" / "run.toml")["added"]


class TestMistakes:
    def refused(self, error: type[Exception], adder: Adder, *arguments: object, **more: Any) -> str:
        with refused(error) as caught:
            adder.create(*arguments, **more)
        assert not (adder.folder / "out").exists()
        return str(caught.value)

    @pytest.fixture
    def file(self, adder) -> Path:
        return adder.start(TRANSFERS["branched"])

    def test_a_base_model(self, adder) -> None:
        file = adder.start(TRANSFERS["branched"], ())
        message = self.refused(ConfigError, adder, file)
        mentions(message, file, "baby", "i2i transfer")

    @pytest.mark.parametrize("name", ["kid", "woman"])
    def test_a_group_that_is_there(self, adder, file, name) -> None:
        mentions(self.refused(ConfigError, adder, file, name), file, name)

    def test_a_name_that_cannot_name_a_group(self, adder, file) -> None:
        mentions(self.refused(ConfigError, adder, file, "auto"), "auto")

    def test_another_transfer(self, adder, file) -> None:
        message = self.refused(ConfigError, adder, file, transfer={"name": "branch-free"})
        mentions(message, file, "--transfer branch")

    def test_a_transfer_without_anything_of_a_groups_own(self, adder) -> None:
        file = adder.start({"name": "joint"})
        mentions(self.refused(ConfigError, adder, file), "joint")

    def test_no_images(self, adder, file, root) -> None:
        (root / "trainB" / "0.png").unlink()
        mentions(self.refused(DataError, adder, file), "baby", f"{root}/trainB")

    def test_no_folder(self, adder, file, root) -> None:
        mentions(self.refused(DataError, adder, file, added={"root": "/gone"}), "/gone/trainA")

    def test_no_plugin(self, adder, file) -> None:
        message = self.refused(UnknownComponentError, adder, file, added={"root": None})
        mentions(message, "baby", "none")

    def test_data_of_the_base_that_is_not_known(self, adder, file) -> None:
        adder.tiny = {**adder.tiny, "data": {}}
        mentions(
            self.refused(ConfigError, adder, file, added={"train_trunk": True}),
            "baby",
            "woman",
            "--train-trunk",
            "run.toml",
            "i2i import --data",
        )

    def test_data_without_the_base(self, adder, file, root) -> None:
        adder.tiny = {**adder.tiny, "data": {"name": "folder", "root": str(root)}}
        mentions(self.refused(ConfigError, adder, file, added={"train_trunk": True}), "woman")
