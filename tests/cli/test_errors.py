"""Every bad input of a training: status 2, one message that names it and the remedy, and nothing half-written."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import pytest
from PIL import Image

from i2i.contracts.branches import branch
from i2i.storage.locks import locked
from i2i.storage.tensor_file import read, write
from tests.cli.conftest import TINY
from tests.wording import check, mentions


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--backbone=ugatti"], ("ugatti", "ugatit")),
        (["--generator=unett"], ("unett", "unet")),
        (["--discriminator=pach"], ("pach", "patch")),
        (["--transfer=brunch"], ("brunch", "branch")),
        (["--data=emojy"], ("emojy", "emoji")),
        (["--data=photos"], ("photos", "./photos")),
        (["--loss.identty=5"], ("i2i run", "--loss.identty", "--loss.identity")),
        (
            ["--backbone.chanels", "8"],
            ("i2i run", "--backbone.chanels", "--backbone.channels"),
        ),
        (["--chanels", "8"], ("i2i run", "--chanels", "--backbone.channels")),
        (["--stepps", "8"], ("i2i run", "--stepps", "--steps", "i2i run --help")),
        (["--qqqq"], ("i2i run", "--qqqq", "i2i run --help")),
        (["--preset=papr"], ("papr", "paper", "quick")),
        (["extra"], ("extra", ".safetensors")),
        (["x", "extra"], ("extra", "i2i run --help")),
        (["--size"], ("--size",)),
        (["--steps=many"], ("steps", "many")),
        (["--size=3"], ("size", "3", 16)),
        (["--seed=-1"], ("seed", "-1", 0)),
        (["--precision=16"], ("precision", "16", "32", "bf16")),
        (
            ["--backbone.channels=0"],
            ("ugatit", "channels", "'0'"),
        ),
        (["--backbone.betas=[0.5]"], ("ugatit", "betas.1", "[0.5]")),
        (["--backbone.betas=[0.5"], ("[0.5", "'[0.5, 0.999]'")),
        (["--loss.identity=lots"], ("identity", "weight", "lots")),
        (
            ["--loss.adversarial.mode=hing"],
            ("mode", "hing", "lsgan", "hinge", "nonsaturating"),
        ),
        (
            ["--transfer.judge=me"],
            ("me", "classification", "projection", "branched", "branched+classification"),
        ),
        (["--stop-after=0"], ("--stop-after", 1)),
        (["--device=tpu9"], ("tpu9", "--device auto")),
    ],
)
def test_names_and_values(refused, folder_root, out, arguments, named) -> None:
    mentions(refused("run", *TINY, "--data", folder_root, "--out", out, *arguments), *named)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["rn"], ("rn", "run", "i2i --help")),
        (["data", "chek"], ("chek", "check", "i2i data --help")),
        (["plugins", "show", "ugatti"], ("ugatti", "ugatit", "cyclegan", "data")),
        (["translate"], ("model", "i2i translate --help")),
    ],
)
def test_commands(refused, arguments, named) -> None:
    mentions(refused(*arguments), *named)


def test_without_a_command_there_is_help(i2i) -> None:
    result = i2i()
    assert "Train a base model" in result.out
    assert "error" not in result.err


class TestParts:
    def test_loss_that_the_generator_cannot_serve(self, refused, folder_root, out) -> None:
        message = refused("run", *TINY, "--data", folder_root, "--out", out, "--generator=resnet")
        mentions(message, "cam", "resnet", "--loss.cam 0")
        assert not out.exists()

    def test_the_remedy_it_names_works(self, i2i, folder_root, out, untrained) -> None:
        arguments = ["--generator=resnet", "--loss.cam", 0]
        assert i2i("run", *TINY, "--data", folder_root, "--out", out, *arguments).status == 0

    def test_loss_that_the_transfer_cannot_serve(self, refused, folder_root, out) -> None:
        message = refused("run", *TINY, "--data", folder_root, "--out", out, "--loss.group=1")
        mentions(message, "group", "branch", "--loss.group 0")
        assert not out.exists()

    def test_loss_whose_network_has_no_weights_here(self, refused, folder_root, out) -> None:
        options = ["--loss.face_identity", 1, "--loss.face_identity.network", "mobilefacenet"]
        message = refused("run", "--data", folder_root, "--out", out, *options)
        mentions(message, "mobilefacenet")
        assert not out.exists()

    def test_discriminator_too_deep_for_the_size(self, refused, folder_root, out) -> None:
        message = refused("run", *TINY, "--data", folder_root, "--out", out, "--discriminator.global_layers=7")
        mentions(message, 128, 32)
        assert not out.exists()

    def test_generator_that_does_not_fit_the_size(self, refused, folder_root, out) -> None:
        cyclegan = ["--backbone=cyclegan", "--generator=unet", "--size=33", "--backbone.channels=4", "--device=cpu"]
        mentions(refused("run", *cyclegan, "--data", folder_root, "--out", out), 33, "size 32")
        assert not out.exists()


class TestData:
    @pytest.fixture(params=["run", "check"])
    def check(self, request, refused, out):
        def call(data: Path) -> str:
            if request.param == "check":
                return refused("data", "check", data)
            message = refused("run", *TINY, "--data", data, "--out", out)
            assert not out.exists()
            return message

        return call

    def test_missing_folder(self, check, tmp_path) -> None:
        message = check(tmp_path / "gone")
        mentions(message, f"{tmp_path}/gone", "ROOT/<group>/trainA", "trainB")

    def test_empty_folder(self, check, tmp_path) -> None:
        (tmp_path / "empty").mkdir()
        mentions(check(tmp_path / "empty"), f"{tmp_path}/empty", "ROOT/<group>/trainA")

    def test_file_where_a_folder_was_expected(self, check, folder_root) -> None:
        file = folder_root / "kid" / "trainA" / "0.png"
        mentions(check(file), file, "--data.root")

    def test_folder_without_layout(self, check, folder_root) -> None:
        mentions(check(folder_root / "kid" / "testA"), "0.png", "1.png", "trainA", "trainB")

    def test_group_without_a_target_folder(self, check, own_root) -> None:
        shutil.rmtree(own_root / "kid" / "trainB")
        message = check(own_root)
        mentions(message, f"{own_root}/kid/trainB", "trainA", "trainB")

    def test_group_without_target_images(self, check, own_root) -> None:
        for image in (own_root / "kid" / "trainB").iterdir():
            image.unlink()
        mentions(check(own_root), f"{own_root}/kid/trainB", ".jpg")

    def test_group_that_cannot_be_named_so(self, check, own_root) -> None:
        (own_root / "kid").rename(own_root / "train")
        mentions(check(own_root), "train")

    def test_broken_image(self, check, own_root) -> None:
        path = own_root / "kid" / "trainB" / "0.png"
        path.write_text("not an image")
        mentions(check(own_root), path)

    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
    def test_half_image(self, check, own_root, suffix) -> None:
        path = own_root / "woman" / "trainA" / f"half.{suffix}"
        Image.effect_noise((64, 64), 80).convert("RGB").save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        message = check(own_root)
        mentions(message, path)

    def test_0_byte_file_among_the_held_out(self, check, own_root) -> None:
        path = own_root / "man" / "testA" / "1.png"
        path.write_bytes(b"")
        mentions(check(own_root), path, "0 bytes")

    def test_each_broken_image_has_its_line(self, check, own_root) -> None:
        for number in range(2):
            (own_root / "man" / "trainA" / f"{number}.png").write_bytes(b"")
        assert [line.split()[0] for line in check(own_root).splitlines()] == [
            str(own_root / "man" / "trainA" / f"{number}.png") for number in range(2)
        ]

    def test_folder_named_as_an_image(self, check, own_root) -> None:
        (own_root / "man" / "trainA" / "2.png").unlink()
        (own_root / "man" / "trainA" / "2.png").mkdir()
        mentions(check(own_root), own_root / "man" / "trainA" / "2.png")


class TestConfigFile:
    @pytest.fixture
    def read(self, refused, folder_root, out, tmp_path):
        def call(text: str) -> str:
            (tmp_path / "my.toml").write_text(text)
            message = refused("run", *TINY, "--data", folder_root, "--out", out, "--config", tmp_path / "my.toml")
            assert not out.exists()
            return message

        return call

    def test_folder_of_images(self, refused, folder_root, out) -> None:
        message = refused("run", "--config", folder_root / "kid" / "testA", "--out", out)
        mentions(message, f"{folder_root}/kid/testA")

    def test_missing(self, refused, out) -> None:
        message = refused("run", "--config", "gone.toml", "--out", out)
        mentions(message, "gone.toml")

    def test_image(self, refused, folder_root, out) -> None:
        message = refused("run", "--config", folder_root / "kid" / "testA" / "0.png", "--out", out)
        mentions(message, "0.png")

    def test_no_toml(self, read) -> None:
        message = read("steps: 3")
        mentions(message, "my.toml", "line 1")

    def test_unknown_option(self, read) -> None:
        mentions(read("stepps = 3"), "my.toml", "stepps", "steps")

    def test_unknown_option_of_a_component(self, read) -> None:
        message = read('[backbone]\nname = "ugatit"\nchanels = 3')
        mentions(message, "ugatit", "chanels", "channels")

    def test_unknown_component(self, read) -> None:
        mentions(read('backbone = "ugatti"'), "ugatti", "ugatit")

    def test_unknown_loss(self, read) -> None:
        mentions(read("[loss]\ncycel = 5"), "cycel", "cycle")

    @pytest.mark.parametrize("name", ["backbone", "data", "loss"])
    def test_number_where_a_table_was_expected(self, read, name) -> None:
        mentions(read(f"{name} = 3"), "my.toml", name, 3, f"[{name}]")

    def test_wrong_value(self, read) -> None:
        mentions(read('[loss]\nidentity = "x"'), "identity", "weight", "x")


class TestRunFolder:
    @pytest.fixture
    def run(self, refused, folder_root):
        return lambda *arguments: refused("run", *TINY, "--data", folder_root, *arguments)

    @pytest.fixture
    def own_run(self, trained, tmp_path) -> Path:
        return Path(shutil.copytree(trained, tmp_path / "own"))

    def test_under_a_file(self, run, tmp_path) -> None:
        (tmp_path / "file").write_text("precious")
        message = run("--out", tmp_path / "file" / "run")
        mentions(message, f"{tmp_path}/file/run", "--out")
        assert (tmp_path / "file").read_text() == "precious"

    def test_is_a_file(self, run, tmp_path) -> None:
        (tmp_path / "file").write_text("precious")
        mentions(run("--out", tmp_path / "file"), tmp_path / "file", "--out")
        assert (tmp_path / "file").read_text() == "precious"

    def test_what_a_killed_command_left_is_removed(self, i2i, untrained, folder_root, tmp_path) -> None:
        for name in (f".run.{2**22 - 3}-1.part.toml", "run.lock"):
            (tmp_path / "run").mkdir(exist_ok=True)
            (tmp_path / "run" / name).touch()
        os.utime(tmp_path / "run" / f".run.{2**22 - 3}-1.part.toml", (1e9, 1e9))
        assert i2i("run", *TINY, "--data", folder_root, "--out", tmp_path / "run").status == 0
        assert [one.name for one in (tmp_path / "run").glob(".*")] == []

    def test_overwriting_that_was_killed_can_be_repeated(
        self, i2i, untrained, folder_root, own_run, monkeypatch
    ) -> None:
        def kill(*_: object) -> None:
            raise KeyboardInterrupt

        arguments = ["run", *TINY, "--data", folder_root, "--out", own_run, "--overwrite"]
        with monkeypatch.context() as patched:
            patched.setattr("shutil.rmtree", kill)
            assert i2i(*arguments).status == 130
        assert i2i(*arguments).status == 0

    def test_run_folder_exists(self, run, trained) -> None:
        before = contents(trained)
        message = run("--out", trained)
        mentions(message, f"i2i run --resume {trained}", "--overwrite")
        assert contents(trained) == before

    @pytest.mark.parametrize("flags", [[], ["--overwrite"]])
    def test_folder_with_other_files(self, run, tmp_path, flags) -> None:
        (tmp_path / "holiday.txt").write_text("precious")
        message = run("--out", tmp_path, *flags)
        mentions(message, tmp_path, "--out")
        assert contents(tmp_path) == {"holiday.txt": b"precious"}

    def test_overwrite_replaces_the_run_and_keeps_foreign_files(self, i2i, own_run, folder_root, untrained) -> None:
        (own_run / "notes.txt").write_text("precious")
        assert i2i("run", *TINY, "--data", folder_root, "--out", own_run, "--overwrite", "--seed=7").status == 0
        assert set(contents(own_run)) == {"notes.txt", "run.toml"}
        assert "seed = 7" in (own_run / "run.toml").read_text()

    @pytest.mark.parametrize(
        "mistake",
        [
            "--steps=many",
            "--data=./gone",
            "--loss.group=1",
            "--device=tpu9",
            "--discriminator=timm --discriminator.weights=gone.pth",
        ],
    )
    def test_overwrite_replaces_nothing_after_a_mistake(self, run, own_run, mistake) -> None:
        before = contents(own_run)
        run("--out", own_run, "--overwrite", *mistake.split())
        assert contents(own_run) == before

    def test_resume_of_no_run(self, refused, tmp_path) -> None:
        message = refused("run", "--resume", tmp_path)
        mentions(message, tmp_path, "run.toml", "i2i run")
        assert contents(tmp_path) == {}

    def test_resume_of_a_missing_folder(self, refused, tmp_path) -> None:
        mentions(refused("run", "--resume", tmp_path / "gone"), tmp_path / "gone")
        assert not (tmp_path / "gone").exists()

    def test_resume_of_a_file(self, refused, folder_root) -> None:
        mentions(refused("run", "--resume", folder_root / "kid" / "testA" / "0.png"), "0.png")

    @pytest.mark.parametrize(
        ("arguments", "what"),
        [
            (["--steps=5"], "--steps"),
            (["--batch-size=5", "--backbone=ugatit"], "--backbone, --batch-size"),
            (["--backbone.channels=5"], "--backbone"),
            (["--out=elsewhere"], "--out"),
            (["--overwrite"], "--overwrite"),
        ],
    )
    def test_resume_with_other_options(self, refused, trained, arguments, what) -> None:
        before = contents(trained)
        message = refused("run", "--resume", trained, *arguments)
        mentions(message, f"{trained}/run.toml", what)
        assert contents(trained) == before

    def test_resume_with_a_truncated_state(self, refused, own_run) -> None:
        (own_run / "model.safetensors").unlink()
        state = own_run / "state.safetensors"
        state.write_bytes(state.read_bytes()[:-1000])
        before = contents(own_run)
        message = refused("run", "--resume", own_run)
        mentions(message, state)
        assert {name: contents(own_run)[name] for name in before if name != "report.html"} == {
            name: content for name, content in before.items() if name != "report.html"
        }

    def test_resume_with_a_changed_run_toml(self, refused, own_run) -> None:
        text = (own_run / "run.toml").read_text()
        (own_run / "run.toml").write_text("stepps = 3\n" + text)
        message = refused("run", "--resume", own_run)
        mentions(message, f"{own_run}/run.toml", "stepps", "steps")


class TestTransfer:
    @pytest.fixture
    def transfer(self, refused, folder_root, out):
        def call(*arguments: object) -> str:
            message = refused("transfer", *arguments, "--data", folder_root, "--out", out)
            assert not out.exists()
            return message

        return call

    def test_without_a_base_model(self, transfer) -> None:
        mentions(transfer(), "i2i transfer runs/base --transfer branch")

    def test_missing_base_model(self, transfer) -> None:
        mentions(transfer("gone"), "gone", ".safetensors")

    def test_folder_of_images(self, transfer, folder_root) -> None:
        mentions(transfer(folder_root), folder_root, "model.safetensors")

    def test_steps_of_the_base_stage(self, transfer, trained) -> None:
        message = transfer(trained / "base.safetensors", "--steps=9")
        mentions(message, "i2i transfer", "--steps", "--transfer-steps", "i2i transfer --help")

    def test_model_with_groups_and_data_of_others(self, refused, trained, own_root, out) -> None:
        shutil.copytree(own_root / "kid", own_root / "elderly")
        message = refused("transfer", trained, "--data", own_root, "--out", out)
        mentions(message, f"{trained}/model.safetensors", "kid", "man", "elderly", "i2i groups add", "base.safetensors")
        assert not out.exists()

    def test_model_with_groups_of_another_transfer(self, refused, trained, folder_root, out) -> None:
        message = refused("transfer", trained, "--data", folder_root, "--transfer", "finetune", "--out", out)
        mentions(message, f"{trained}/model.safetensors", "--transfer branch", "'finetune'", "base.safetensors")
        assert not out.exists()

    def test_model_with_groups_and_data_without_one(self, refused, trained, own_root, out) -> None:
        shutil.rmtree(own_root / "kid")
        message = refused("transfer", trained, "--data", own_root, "--out", out)
        mentions(message, "kid", f"{trained}/model.safetensors")
        assert not out.exists()

    def test_base_model_that_lacks_a_tensor(self, transfer, trained, tmp_path) -> None:
        tensors, about = read(trained / "base.safetensors")
        name = next(iter(tensors))
        write(tmp_path / "less.safetensors", {k: v for k, v in tensors.items() if k != name}, about)
        message = transfer(tmp_path / "less.safetensors")
        mentions(message, f"{tmp_path}/less.safetensors", name)

    def test_generator_that_has_no_branch_points(self, transfer, trained, monkeypatch) -> None:
        monkeypatch.setattr("i2i_transfer.branch.branch", lambda module, _, *rest: branch(module, (), *rest))
        mentions(transfer(trained / "base.safetensors"), "[]", "--transfer none")

    def test_training_state(self, transfer, trained) -> None:
        message = transfer(trained / "state.safetensors")
        mentions(message, "model.safetensors")

    def test_data_without_the_base_group(self, refused, trained, own_root, out) -> None:
        shutil.rmtree(own_root / "woman")
        message = refused("transfer", trained / "base.safetensors", "--data", own_root, "--out", out)
        mentions(message, "woman", "man", "kid")
        assert not out.exists()

    def test_data_of_the_base_group_alone(self, refused, trained, own_root, out) -> None:
        for group in ("man", "kid"):
            shutil.rmtree(own_root / group)
        message = refused("transfer", trained / "base.safetensors", "--data", own_root, "--out", out)
        mentions(message, "woman")
        assert not out.exists()

    def test_into_the_folder_of_the_base_model(self, refused, folder_root, trained) -> None:
        before = contents(trained)
        base = trained / "base.safetensors"
        message = refused("transfer", base, "--data", folder_root, "--out", trained, "--overwrite")
        mentions(message, trained, "--out")
        assert contents(trained) == before

    def test_resume_with_a_base_model(self, refused, trained) -> None:
        message = refused("transfer", trained, "--resume", trained)
        mentions(message, f"--resume {trained}")


class TestStart:
    """``i2i train BASE`` and ``i2i run BASE``."""

    @pytest.fixture(params=["train", "run"])
    def start(self, request, refused, folder_root, out):
        def call(*arguments: object) -> str:
            message = refused(request.param, *arguments, "--data", folder_root, "--out", out)
            assert not out.exists()
            return message

        return call

    def test_from_a_model_with_groups(self, start, trained) -> None:
        file = trained / "model.safetensors"
        mentions(start(file), "kid", "man", f"i2i transfer {file}")

    def test_with_other_networks(self, start, trained) -> None:
        message = start(trained / "base.safetensors", "--backbone.channels=6")
        mentions(message, f"{trained}/base.safetensors")

    @pytest.mark.parametrize("command", ["train", "run", "transfer"])
    def test_from_a_file_whose_data_nobody_tells(self, refused, trained, tmp_path, out, command) -> None:
        file = shutil.copy(trained / "base.safetensors", tmp_path)
        told = tmp_path / "told.toml"
        told.write_text(f'base_model = "{file}"')
        for start in ([file], ["--config", told]):
            mentions(refused(command, *start, "--out", out), file, "--data NAME", "--data FOLDER")
        assert not out.exists()

    def test_with_another_backbone(self, start, trained) -> None:
        mentions(start(trained, "--backbone=cyclegan", "--backbone.channels=4"), "base.safetensors")


class TestResume:
    def test_a_whole_run_as_one_stage(self, refused, trained) -> None:
        for command in ("train", "transfer"):
            message = refused(command, "--resume", trained)
            mentions(message, f"i2i run --resume {trained}")

    def test_a_folder_in_use(self, refused, trained, folder_root) -> None:
        with locked(trained / "run.lock"):
            before = contents(trained)
            for arguments in (["--resume", trained], [*TINY, "--data", folder_root, "--out", trained, "--overwrite"]):
                message = refused("run", *arguments)
                mentions(message, trained, os.getpid(), platform.node())
            assert contents(trained) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_fault_is_no_mistake_of_the_user(i2i, folder_root, out, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the [bold] truth")

    monkeypatch.setattr("i2i.runs.run.Run.execute", fail)
    result = i2i("run", *TINY, "--data", folder_root, "--out", out)
    assert result.status == 1
    check(result.err, "error: RuntimeError: the [bold] truth", "--debug")


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(i2i, place) -> None:
    arguments = ["run", "--steps=many"]
    result = i2i(*(["--debug", *arguments] if place == "before" else [*arguments, "--debug"]))
    assert result.status == 2
    assert "Traceback" in result.err
    check(result.err.splitlines()[-1], "error:", "'steps'", "'many'")
