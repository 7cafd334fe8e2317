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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backbone=ugatti"], "There is no backbone 'ugatti'. Did you mean 'ugatit'? Known: cyclegan, "),
        (["--generator=unett"], "There is no generator 'unett'. Did you mean 'unet'?"),
        (["--discriminator=pach"], "There is no discriminator 'pach'. Did you mean 'patch'?"),
        (["--transfer=brunch"], "There is no transfer 'brunch'. Did you mean 'branch'?"),
        (["--data=emojy"], "There is no data set 'emojy'. Did you mean 'emoji'?"),
        (["--data=photos"], "A folder of images is named by a path, such as ./photos."),
        (["--loss.identty=5"], "i2i run has no option '--loss.identty'. Did you mean '--loss.identity'?"),
        (
            ["--backbone.chanels", "8"],
            "i2i run has no option '--backbone.chanels'. Did you mean '--backbone.channels'?",
        ),
        (["--chanels", "8"], "i2i run has no option '--chanels'. Did you mean '--backbone.channels'?"),
        (["--stepps", "8"], "i2i run has no option '--stepps'. Did you mean '--steps'? See i2i run --help."),
        (["--qqqq"], "i2i run has no option '--qqqq'. See i2i run --help."),
        (["--preset=papr"], "There is no preset 'papr'. Did you mean 'paper'? Known: quick, paper."),
        (["extra"], "extra does not exist. Name a run folder or a .safetensors file."),
        (["x", "extra"], "Got unexpected extra argument(s) (extra). See i2i run --help."),
        (["--size"], "Option '--size' requires an argument."),
        (["--steps=many"], "the run: option 'steps' cannot be 'many': Input should be a valid integer"),
        (["--size=3"], "the run: option 'size' cannot be '3': Input should be greater than or equal to 16"),
        (["--seed=-1"], "option 'seed' cannot be '-1': Input should be greater than or equal to 0"),
        (["--precision=16"], "the run: option 'precision' cannot be '16': Input should be '32' or 'bf16'"),
        (
            ["--backbone.channels=0"],
            "backbone 'ugatit': option 'channels' cannot be '0': Input should be greater than 0",
        ),
        (["--backbone.betas=[0.5]"], "backbone 'ugatit': option 'betas.1' cannot be [0.5]: Field required"),
        (["--backbone.betas=[0.5"], "[0.5 is no list or table"),
        (["--backbone.betas=[0.5"], "Write JSON, such as '[0.5, 0.999]'."),
        (["--loss.identity=lots"], "loss 'identity': option 'weight' cannot be 'lots'"),
        (
            ["--loss.adversarial.mode=hing"],
            "'mode' cannot be 'hing': Input should be 'lsgan', 'hinge' or 'nonsaturating'",
        ),
        (
            ["--transfer.judge=me"],
            "Input should be 'classification', 'projection', 'branched', 'branched+classification'",
        ),
        (["--stop-after=0"], "Invalid value for '--stop-after': Input should be greater than or equal to 1"),
        (["--device=tpu9"], "Device 'tpu9' cannot be used here"),
        (["--device=tpu9"], "Use --device auto or cpu."),
    ],
)
def test_names_and_values(refused, folder_root, out, arguments, message) -> None:
    assert message in refused("run", *TINY, "--data", folder_root, "--out", out, *arguments)
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rn"], "No such command 'rn'. Did you mean 'run'? See i2i --help."),
        (["data", "chek"], "No such command 'chek'. Did you mean 'check'? See i2i data --help."),
        (["plugins", "show", "ugatti"], "There is no plugin 'ugatti'. Did you mean 'ugatit'? Known: cyclegan, data,"),
        (["translate"], "Missing argument 'model'. See i2i translate --help."),
    ],
)
def test_commands(refused, arguments, message) -> None:
    assert message in refused(*arguments)


def test_without_a_command_there_is_help(i2i) -> None:
    result = i2i()
    assert "Train a base model" in result.out
    assert "error" not in result.err


class TestParts:
    def test_loss_that_the_generator_cannot_serve(self, refused, folder_root, out) -> None:
        message = refused("run", *TINY, "--data", folder_root, "--out", out, "--generator=resnet")
        assert message == (
            "Loss 'cam' needs 'cam', but the generator 'resnet' gives no cam. "
            "Set --loss.cam 0, or choose another generator."
        )
        assert not out.exists()

    def test_the_remedy_it_names_works(self, i2i, folder_root, out, untrained) -> None:
        arguments = ["--generator=resnet", "--loss.cam", 0]
        assert i2i("run", *TINY, "--data", folder_root, "--out", out, *arguments).status == 0

    def test_loss_that_the_transfer_cannot_serve(self, refused, folder_root, out) -> None:
        message = refused("run", *TINY, "--data", folder_root, "--out", out, "--loss.group=1")
        assert "Loss 'group' needs 'group', but the transfer 'branch' adds no group head as configured." in message
        assert "Set --loss.group 0, or choose another transfer." in message
        assert not out.exists()

    def test_loss_whose_network_has_no_weights_here(self, refused, folder_root, out) -> None:
        options = ["--loss.face_identity", 1, "--loss.face_identity.network", "mobilefacenet"]
        message = refused("run", "--data", folder_root, "--out", out, *options)
        assert message.startswith("The weights of mobilefacenet are nowhere on this machine")
        assert not out.exists()

    def test_discriminator_too_deep_for_the_size(self, refused, folder_root, out) -> None:
        message = refused("run", *TINY, "--data", folder_root, "--out", out, "--discriminator.global_layers=7")
        assert "layers needs images of 128 px or more, not 32" in message
        assert not out.exists()

    def test_generator_that_does_not_fit_the_size(self, refused, folder_root, out) -> None:
        cyclegan = ["--backbone=cyclegan", "--generator=unet", "--size=33", "--backbone.channels=4", "--device=cpu"]
        assert "Use size 32" in refused("run", *cyclegan, "--data", folder_root, "--out", out)
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
        assert f"{tmp_path}/gone does not exist." in message
        assert "name a folder with ROOT/<group>/trainA, trainB" in message

    def test_empty_folder(self, check, tmp_path) -> None:
        (tmp_path / "empty").mkdir()
        assert f"{tmp_path}/empty holds nothing. Arrange it as ROOT/<group>/trainA" in check(tmp_path / "empty")

    def test_file_where_a_folder_was_expected(self, check, folder_root) -> None:
        file = folder_root / "kid" / "trainA" / "0.png"
        assert f"{file} is a file. Let --data.root name a folder" in check(file)

    def test_folder_without_layout(self, check, folder_root) -> None:
        assert "holds 0.png, 1.png, but no trainA or trainB. Arrange it" in check(folder_root / "kid" / "testA")

    def test_group_without_a_target_folder(self, check, own_root) -> None:
        shutil.rmtree(own_root / "kid" / "trainB")
        message = check(own_root)
        assert (
            f"{own_root}/kid/trainB does not exist. Every group needs images in trainA (source) and trainB" in message
        )

    def test_group_without_target_images(self, check, own_root) -> None:
        for image in (own_root / "kid" / "trainB").iterdir():
            image.unlink()
        assert f"{own_root}/kid/trainB is empty. Put images in it (.jpg" in check(own_root)

    def test_group_that_cannot_be_named_so(self, check, own_root) -> None:
        (own_root / "kid").rename(own_root / "train")
        assert "'train' cannot name a group." in check(own_root)

    def test_broken_image(self, check, own_root) -> None:
        path = own_root / "kid" / "trainB" / "0.png"
        path.write_text("not an image")
        assert check(own_root).startswith(f"{path} cannot be read as an image")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
    def test_half_image(self, check, own_root, suffix) -> None:
        path = own_root / "woman" / "trainA" / f"half.{suffix}"
        Image.effect_noise((64, 64), 80).convert("RGB").save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        message = check(own_root)
        assert message.startswith(f"{path} cannot be read as an image")
        assert message.endswith("Replace or remove it.")

    def test_0_byte_file_among_the_held_out(self, check, own_root) -> None:
        path = own_root / "man" / "testA" / "1.png"
        path.write_bytes(b"")
        assert check(own_root) == f"{path} is empty (0 bytes). Replace or remove it."

    def test_each_broken_image_has_its_line(self, check, own_root) -> None:
        for number in range(2):
            (own_root / "man" / "trainA" / f"{number}.png").write_bytes(b"")
        assert [line.split()[0] for line in check(own_root).splitlines()] == [
            str(own_root / "man" / "trainA" / f"{number}.png") for number in range(2)
        ]

    def test_folder_named_as_an_image(self, check, own_root) -> None:
        (own_root / "man" / "trainA" / "2.png").unlink()
        (own_root / "man" / "trainA" / "2.png").mkdir()
        assert "2.png is a folder, not an image file" in check(own_root)


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
        assert message == f"{folder_root}/kid/testA is a folder. Name a TOML file."

    def test_missing(self, refused, out) -> None:
        message = refused("run", "--config", "gone.toml", "--out", out)
        assert message == "gone.toml cannot be read (No such file or directory). Name an existing TOML file."

    def test_image(self, refused, folder_root, out) -> None:
        message = refused("run", "--config", folder_root / "kid" / "testA" / "0.png", "--out", out)
        assert "0.png is not a TOML file" in message

    def test_no_toml(self, read) -> None:
        message = read("steps: 3")
        assert "my.toml is not a TOML file" in message
        assert "line 1" in message

    def test_unknown_option(self, read) -> None:
        assert read("stepps = 3").endswith("my.toml sets 'stepps', which is no option. Did you mean 'steps'?")

    def test_unknown_option_of_a_component(self, read) -> None:
        message = read('[backbone]\nname = "ugatit"\nchanels = 3')
        assert message.startswith("backbone 'ugatit' has no option 'chanels'. Did you mean 'channels'?")

    def test_unknown_component(self, read) -> None:
        assert "There is no backbone 'ugatti'. Did you mean 'ugatit'?" in read('backbone = "ugatti"')

    def test_unknown_loss(self, read) -> None:
        assert "There is no loss 'cycel'. Did you mean 'cycle'?" in read("[loss]\ncycel = 5")

    @pytest.mark.parametrize("name", ["backbone", "data", "loss"])
    def test_number_where_a_table_was_expected(self, read, name) -> None:
        assert read(f"{name} = 3").endswith(f"my.toml sets '{name}' to 3. Write a table: [{name}].")

    def test_wrong_value(self, read) -> None:
        assert "loss 'identity': option 'weight' cannot be 'x'" in read('[loss]\nidentity = "x"')


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
        assert message == f"{tmp_path}/file/run cannot be made (Not a directory). Choose another --out."
        assert (tmp_path / "file").read_text() == "precious"

    def test_is_a_file(self, run, tmp_path) -> None:
        (tmp_path / "file").write_text("precious")
        assert "file cannot be made (File exists). Choose another --out." in run("--out", tmp_path / "file")
        assert (tmp_path / "file").read_text() == "precious"

    def test_run_folder_exists(self, run, trained) -> None:
        before = contents(trained)
        message = run("--out", trained)
        assert message == (
            f"{trained} holds a run already. Go on with i2i run --resume {trained}, or replace it: --overwrite."
        )
        assert contents(trained) == before

    @pytest.mark.parametrize("flags", [[], ["--overwrite"]])
    def test_folder_with_other_files(self, run, tmp_path, flags) -> None:
        (tmp_path / "holiday.txt").write_text("precious")
        message = run("--out", tmp_path, *flags)
        assert message == f"{tmp_path} holds files that are no run. Choose an empty or new folder with --out."
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
        assert message == f"{tmp_path} is no run folder: it has no run.toml. Name a folder that i2i run made."
        assert contents(tmp_path) == {}

    def test_resume_of_a_missing_folder(self, refused, tmp_path) -> None:
        assert "gone is no run folder" in refused("run", "--resume", tmp_path / "gone")
        assert not (tmp_path / "gone").exists()

    def test_resume_of_a_file(self, refused, folder_root) -> None:
        assert "0.png is no run folder" in refused("run", "--resume", folder_root / "kid" / "testA" / "0.png")

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
        assert message == (f"--resume goes on with the options in {trained}/run.toml and takes no others. Drop {what}.")
        assert contents(trained) == before

    def test_resume_with_a_truncated_state(self, refused, own_run) -> None:
        (own_run / "model.safetensors").unlink()
        state = own_run / "state.safetensors"
        state.write_bytes(state.read_bytes()[:-1000])
        before = contents(own_run)
        message = refused("run", "--resume", own_run)
        assert message.startswith(f"{state} is damaged, cut short, or no safetensors file")
        assert {name: contents(own_run)[name] for name in before if name != "report.html"} == {
            name: content for name, content in before.items() if name != "report.html"
        }

    def test_resume_with_a_changed_run_toml(self, refused, own_run) -> None:
        text = (own_run / "run.toml").read_text()
        (own_run / "run.toml").write_text("stepps = 3\n" + text)
        message = refused("run", "--resume", own_run)
        assert message.startswith(f"{own_run}/run.toml has no option 'stepps'. Did you mean 'steps'?")


class TestTransfer:
    @pytest.fixture
    def transfer(self, refused, folder_root, out):
        def call(*arguments: object) -> str:
            message = refused("transfer", *arguments, "--data", folder_root, "--out", out)
            assert not out.exists()
            return message

        return call

    def test_without_a_base_model(self, transfer) -> None:
        assert transfer() == "Name a base model, for example: i2i transfer runs/base --transfer branch."

    def test_missing_base_model(self, transfer) -> None:
        assert transfer("gone") == "gone does not exist. Name a run folder or a .safetensors file."

    def test_folder_of_images(self, transfer, folder_root) -> None:
        assert "holds no model.safetensors. Name a run folder" in transfer(folder_root)

    def test_steps_of_the_base_stage(self, transfer, trained) -> None:
        message = transfer(trained / "base.safetensors", "--steps=9")
        assert message == (
            "i2i transfer has no option '--steps'. Did you mean '--transfer-steps'? See i2i transfer --help."
        )

    def test_model_with_groups_and_data_of_others(self, refused, trained, own_root, out) -> None:
        shutil.copytree(own_root / "kid", own_root / "elderly")
        message = refused("transfer", trained, "--data", own_root, "--out", out)
        assert message == (
            f"{trained}/model.safetensors serves kid, man, but not elderly of the data, and a transfer goes on "
            "with those it serves. Add a group with i2i groups add, remove that data, "
            "or start from a base model, such as base.safetensors of its run."
        )
        assert not out.exists()

    def test_model_with_groups_and_data_without_one(self, refused, trained, own_root, out) -> None:
        shutil.rmtree(own_root / "kid")
        message = refused("transfer", trained, "--data", own_root, "--out", out)
        assert message == f"The data lacks kid, which {trained}/model.safetensors serves. Add a folder for each."
        assert not out.exists()

    def test_base_model_that_lacks_a_tensor(self, transfer, trained, tmp_path) -> None:
        tensors, about = read(trained / "base.safetensors")
        name = next(iter(tensors))
        write(tmp_path / "less.safetensors", {k: v for k, v in tensors.items() if k != name}, about)
        message = transfer(tmp_path / "less.safetensors")
        assert message.startswith(f"{tmp_path}/less.safetensors does not fit: {name} is missing, not (")

    def test_generator_that_has_no_branch_points(self, transfer, trained, monkeypatch) -> None:
        monkeypatch.setattr("i2i_transfer.branch.branch", lambda module, _, *rest: branch(module, (), *rest))
        message = transfer(trained / "base.safetensors")
        assert "has no submodule that matches its branch points []" in message

    def test_training_state(self, transfer, trained) -> None:
        message = transfer(trained / "state.safetensors")
        assert message.endswith("holds the state of a training, no model. Name its run folder or model.safetensors.")

    def test_data_without_the_base_group(self, refused, trained, own_root, out) -> None:
        shutil.rmtree(own_root / "woman")
        message = refused("transfer", trained / "base.safetensors", "--data", own_root, "--out", out)
        assert message == "The data has no group 'woman', which is the model's base; it has man, kid."
        assert not out.exists()

    def test_data_of_the_base_group_alone(self, refused, trained, own_root, out) -> None:
        for group in ("man", "kid"):
            shutil.rmtree(own_root / group)
        message = refused("transfer", trained / "base.safetensors", "--data", own_root, "--out", out)
        assert message == ("The data has no group beside 'woman', the model's base. Add a folder for each new group.")
        assert not out.exists()

    def test_into_the_folder_of_the_base_model(self, refused, folder_root, trained) -> None:
        before = contents(trained)
        base = trained / "base.safetensors"
        message = refused("transfer", base, "--data", folder_root, "--out", trained, "--overwrite")
        assert message == f"{trained} holds the model to start from. Choose another --out."
        assert contents(trained) == before

    def test_resume_with_a_base_model(self, refused, trained) -> None:
        message = refused("transfer", trained, "--resume", trained)
        assert message == f"--resume {trained} knows what it starts from. Leave out {trained}."


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
        assert start(file) == f"{file} serves kid, man already. Go on with: i2i transfer {file}."

    def test_with_other_networks(self, start, trained) -> None:
        message = start(trained / "base.safetensors", "--backbone.channels=6")
        assert message.startswith(f"{trained}/base.safetensors does not fit: ")
        assert "Leave out options that change the networks" in message

    @pytest.mark.parametrize("command", ["train", "run", "transfer"])
    def test_from_a_file_whose_data_nobody_tells(self, refused, trained, tmp_path, out, command) -> None:
        file = shutil.copy(trained / "base.safetensors", tmp_path)
        told = tmp_path / "told.toml"
        told.write_text(f'base_model = "{file}"')
        for start in ([file], ["--config", told]):
            assert refused(command, *start, "--out", out) == (
                f"{file} is in no run folder that tells its data. Name it: --data NAME or --data FOLDER."
            )
        assert not out.exists()

    def test_with_another_backbone(self, start, trained) -> None:
        assert "base.safetensors does not fit: " in start(trained, "--backbone=cyclegan", "--backbone.channels=4")


class TestResume:
    def test_a_whole_run_as_one_stage(self, refused, trained) -> None:
        for command in ("train", "transfer"):
            message = refused(command, "--resume", trained)
            assert message == f"{trained} trains base and transfer. Go on with: i2i run --resume {trained}."

    def test_a_folder_in_use(self, refused, trained, folder_root) -> None:
        with locked(trained / "run.lock"):
            before = contents(trained)
            for arguments in (["--resume", trained], [*TINY, "--data", folder_root, "--out", trained, "--overwrite"]):
                message = refused("run", *arguments)
                assert message == (
                    f"{trained} is in use by process {os.getpid()} on {platform.node()}. "
                    "Wait until that ends, or stop it."
                )
            assert contents(trained) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_fault_is_no_mistake_of_the_user(i2i, folder_root, out, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the [bold] truth")

    monkeypatch.setattr("i2i.runs.run.Run.execute", fail)
    result = i2i("run", *TINY, "--data", folder_root, "--out", out)
    assert result.status == 1
    assert (
        "error: RuntimeError: the [bold] truth (this is a fault in i2i or a plugin; --debug shows where)" in result.err
    )


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(i2i, place) -> None:
    arguments = ["run", "--steps=many"]
    result = i2i(*(["--debug", *arguments] if place == "before" else [*arguments, "--debug"]))
    assert result.status == 2
    assert "Traceback" in result.err
    assert result.err.splitlines()[-1].startswith("error: the run: option 'steps' cannot be 'many'")
