"""``i2i translate``: what it takes, where results go, and every mistake one can make."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from safetensors.torch import save_file

from i2i import cli
from tests.cli.conftest import TINY, train
from tests.contracts.test_detector import PLUGIN
from tests.wording import check_line, mentions


@pytest.fixture
def image(tmp_path) -> Path:
    path = tmp_path / "face.png"
    Image.effect_noise((45, 70), 80).convert("RGB").save(path)
    return path


@pytest.fixture
def target(tmp_path) -> Path:
    """A folder for translations that is not there yet."""
    return tmp_path / "new"


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestImages:
    def test_a_file_keeps_its_name_and_size(self, i2i, trained, image, target) -> None:
        result = i2i("translate", trained, image, "--out", target)
        assert (result.status, result.out) == (0, f"{image} -> {target}/face.png\n")
        with Image.open(target / "face.png") as actual:
            assert actual.size == (45, 70)

    def test_quiet_and_verbose(self, i2i, trained, image, target) -> None:
        (image.parent / "bad.png").touch()
        quiet = i2i("translate", trained, image, image.parent / "bad.png", "--out", target, "-q")
        assert (quiet.status, quiet.out) == (2, "")
        assert "bad.png" in quiet.err
        assert (target / "face.png").is_file()
        again = i2i("translate", trained, image, "--out", target, "--skip-existing", "--quiet")
        assert (again.status, again.out, again.err) == (0, "", "")
        loud = i2i("translate", trained, image, "--out", target, "--overwrite", "-v")
        assert loud.out == f"{image} -> {target}/face.png (at 32 px)\n"

    def test_folders_files_and_globs(self, i2i, trained, image, folder_root, target) -> None:
        arguments = [image, folder_root / "kid" / "testA", folder_root / "man" / "trainA" / "[2-9].png"]
        assert i2i("translate", trained, *arguments, "--out", target).status == 0
        assert listed(target) == ["0.png", "1.png", "2.png", "face.png"]

    def test_one_image_to_one_file_of_another_format(self, i2i, trained, image, target) -> None:
        assert i2i("translate", trained, image, "--out", target / "face.jpg").status == 0
        with Image.open(target / "face.jpg") as actual:
            assert actual.format == "JPEG"

    def test_one_image_named_twice_is_translated_once(self, i2i, trained, image, target) -> None:
        result = i2i("translate", trained, image, image, "--out", target)
        assert (result.status, result.out.count("->")) == (0, 1)

    def test_group_direction_and_model_file(self, i2i, trained, image, tmp_path) -> None:
        for name, arguments in {
            "base": [trained],
            "woman": [trained / "model.safetensors", "--group=woman"],
            "kid": [trained, "--group", "kid"],
            "back": [trained, "--direction=b2a"],
        }.items():
            assert i2i("translate", *arguments, image, "--out", tmp_path / f"{name}.png").status == 0
        pixels = {name: np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("base", "woman", "kid", "back")}
        assert np.array_equal(pixels["base"], pixels["woman"])
        assert not np.array_equal(pixels["base"], pixels["kid"])
        assert not np.array_equal(pixels["base"], pixels["back"])

    def test_auto_tells_the_group_that_a_detector_finds(self, i2i, trained, image, target, install) -> None:
        install("my-light", PLUGIN.format(name="light"))
        bright = image.parent / "bright.png"
        Image.new("RGB", (45, 70), "white").save(bright)
        Image.new("RGB", (45, 70), "black").save(image)
        for more in ([], ["--detector", "light"]):
            result = i2i("translate", trained, image, bright, "--group", "auto", *more, "--out", target, "--overwrite")
            assert (result.status, result.out.splitlines()) == (
                0,
                [f"{image} -> {target}/face.png (woman)", f"{bright} -> {target}/bright.png (kid)"],
            )

    def test_overwrite(self, i2i, trained, image, tmp_path) -> None:
        (tmp_path / "old.png").write_text("old")
        assert i2i("translate", trained, image, "--out", tmp_path / "old.png", "--overwrite").status == 0
        with Image.open(tmp_path / "old.png") as actual:
            assert actual.size == (45, 70)

    def test_the_image_that_is_read_is_never_replaced(self, refused, trained, image) -> None:
        before = image.read_bytes()
        message = refused("translate", trained, image, "--out", image.parent, "--overwrite")
        mentions(message, image, "--out")
        assert image.read_bytes() == before


class TestManyImages:
    @pytest.fixture
    def album(self, tmp_path) -> Path:
        for name in ("a.png", "b.jpg", "2024/a.png"):
            path = tmp_path / "album" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((40, 40), 80).convert("RGB").save(path)
        return tmp_path / "album"

    def test_a_tree_comes_out_as_it_went_in(self, i2i, trained, album, target) -> None:
        result = i2i("translate", trained, album, "-r", "--format", "webp", "--out", target)
        names = ["2024/a.webp", "a.webp", "b.webp"]
        assert result.status == 0
        assert sorted(str(path.relative_to(target)) for path in target.rglob("*.*")) == names
        assert [line.partition(" -> ")[2] for line in result.out.splitlines()] == [f"{target}/{one}" for one in names]

    def test_what_is_translated_already_is_left_out(self, i2i, trained, album, target) -> None:
        i2i("translate", trained, album / "a.png", "--out", f"{target}/")
        before = (target / "a.png").stat().st_mtime_ns
        for expected in (1, 2):
            result = i2i("translate", trained, album, "--skip-existing", "--out", target)
            assert result.status == 0
            check_line(result.out, f"{expected} of 2")
        assert listed(target) == ["a.png", "b.jpg"]
        assert (target / "a.png").stat().st_mtime_ns == before

    def test_what_is_no_translation_is_named_and_the_rest_goes_on(self, refused, trained, album, target) -> None:
        for name in ("c.png", "d.png"):
            shutil.copy(album / "a.png", album / name)
        target.mkdir()
        (target / "a.png").symlink_to("nothing")
        (target / "c.png").mkdir()
        os.mkfifo(target / "d.png")
        message = refused("translate", trained, album, "--skip-existing", "--out", target)
        mentions(message, target / "a.png", target / "c.png", target / "d.png", "1 of 4")
        assert (target / "b.jpg").is_file()
        assert (target / "a.png").is_symlink()

    def test_input_files_are_no_translations(self, refused, trained, album) -> None:
        mentions(refused("translate", trained, album, "--skip-existing", "--out", album), album / "a.png", "--out")

    def test_quality(self, i2i, trained, album, tmp_path) -> None:
        for quality in (20, 95):
            i2i("translate", trained, album / "b.jpg", f"--quality={quality}", "--out", tmp_path / f"{quality}.jpg")
        assert (tmp_path / "20.jpg").stat().st_size < (tmp_path / "95.jpg").stat().st_size

    def test_every_failure_has_its_line_and_the_rest_goes_on(self, refused, trained, album, target) -> None:
        (album / "loop.png").symlink_to("loop.png")
        (album / "half.avif.png").write_bytes(b"\0\0\0 ftypavif" + bytes(200))
        message = refused("translate", trained, album, "--out", target, varies=r"\(cannot identify.+?\)")
        mentions(message, album / "loop.png", album / "half.avif.png", "2 of 4")
        assert listed(target) == ["a.png", "b.jpg"]

    def test_each_process_translates_its_share(self, i2i, trained, album, target, monkeypatch) -> None:
        monkeypatch.setenv("WORLD_SIZE", "2")
        for rank in (0, 1):
            monkeypatch.setenv("RANK", str(rank))
            result = i2i("translate", trained, album, "--recursive", "--out", target)
            assert (result.status, result.out.count("->")) == (0, 2 - rank)
        assert sorted(str(path.relative_to(target)) for path in target.rglob("*.*")) == ["2024/a.png", "a.png", "b.jpg"]

    def test_a_share_that_there_is_not(self, refused, trained, album, monkeypatch) -> None:
        monkeypatch.setenv("RANK", "2")
        monkeypatch.setenv("WORLD_SIZE", "2")
        mentions(refused("translate", trained, album), "RANK=2", "WORLD_SIZE=2")

    def test_a_bar_on_a_terminal(self, i2i, trained, album, target, monkeypatch) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        result = i2i("translate", trained, album, "--out", target)
        assert result.status == 0
        assert "2/2" in result.out
        assert f"{album}/a.png -> {target}/a.png" in result.out

    def test_an_interruption_says_how_to_go_on(self, i2i, trained, album, target, monkeypatch) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("i2i.cli.translating._line", interrupt)
        result = i2i("translate", trained, album, "--out", target)
        assert result.status == 130
        check_line(result.err, "2", "--skip-existing")

    def test_options_that_contradict_each_other(self, refused, trained, album) -> None:
        message = refused("translate", trained, album, "--overwrite", "--skip-existing")
        mentions(message, "--overwrite", "--skip-existing")

    def test_a_device_that_is_not_there(self, refused, trained, album) -> None:
        message = refused("translate", trained, album, "--device", "tpu", varies=r"\(there is.+?\)")
        mentions(message, "tpu", "--device", "cpu")


class TestSharpness:
    @pytest.fixture
    def large(self, tmp_path) -> Path:
        Image.effect_noise((300, 150), 80).convert("RGB").save(tmp_path / "large.png")
        return tmp_path / "large.png"

    @pytest.fixture
    def translated(self, i2i, trained, large, tmp_path):
        def call(*options: object) -> tuple[np.ndarray, str]:
            out = tmp_path / f"new{len(list(tmp_path.iterdir()))}.png"
            result = i2i("translate", trained, large, *options, "--out", out)
            assert result.status == 0, result
            with Image.open(out) as image:
                assert image.size == (300, 150)
                return np.asarray(image, np.int16), result.out

        return call

    def test_a_larger_size_keeps_detail_and_is_noted(self, translated) -> None:
        blurred, note = translated()
        check_line(note, "The image is", 32, "--size", "--tiles")
        sharp, note = translated("--size", 150)
        check_line(note, "The image is", 32, "--size")
        assert _detail(sharp) > 2 * _detail(blurred)

    def test_a_small_image_is_noted(self, translated, large) -> None:
        check_line(translated("--size=400")[1], "The image is", 400, "half")

    def test_tiles_translate_at_the_size_of_the_image(self, translated) -> None:
        whole, _ = translated("--size=150")
        tiled, _ = translated("--tiles", "--threads=2", "--batch=2")
        assert np.abs(whole - tiled).mean() < 3
        halved, _ = translated("--tiles", "--size=75")
        assert _detail(halved) < _detail(tiled)

    def test_tiles_of_an_image_smaller_than_the_training_images(self, i2i, trained, tmp_path) -> None:
        Image.effect_noise((9, 5), 80).convert("RGB").save(tmp_path / "small.png")
        assert i2i("translate", trained, tmp_path / "small.png", "--tiles", "--out", tmp_path / "new.png").status == 0
        with Image.open(tmp_path / "new.png") as image:
            assert image.size == (9, 5)

    def test_tiles_of_a_detected_group_and_in_bfloat16(self, translated, install) -> None:
        install("my-light", PLUGIN.format(name="light"))
        _, lines = translated("--tiles", "--group=auto", "--precision=bf16")
        assert lines.splitlines()[0].endswith(("(woman)", "(kid)", "(man)"))

    def test_a_size_beyond_the_limit(self, refused, trained, large, target) -> None:
        message = refused("translate", trained, large, "--size=150", "--max-pixels=9999", "--out", target)
        mentions(message, large, 9999, "--tiles", "--max-pixels")

    @pytest.mark.parametrize("option", [["--size=64"], ["--tiles"]])
    def test_a_generator_of_one_size(self, refused, folder_root, large, tmp_path, option) -> None:
        arguments = [*TINY, "--steps=1", "--backbone.no-light", "--data", folder_root]
        train("train", *arguments, "--out", tmp_path / "rigid")
        message = refused("translate", tmp_path / "rigid", large, *option, "--out", tmp_path / "new")
        mentions(message, "32 x 32", "--size", "--tiles")


@pytest.mark.full
def test_a_large_photograph_in_tiles_takes_less_than_2_gb(trained, tmp_path) -> None:
    Image.effect_noise((6000, 4000), 80).convert("RGB").save(tmp_path / "large.jpg")
    program = (
        "import resource, sys\nfrom i2i import cli\ntry:\n    cli.main(sys.argv[1:])\nfinally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    arguments = ["translate", trained, tmp_path / "large.jpg", "--tiles", "--out", tmp_path / "new.jpg"]
    result = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) * 1024 < 2e9
    with Image.open(tmp_path / "new.jpg") as image:
        assert image.size == (6000, 4000)


def _detail(pixels: np.ndarray) -> float:
    return float(np.abs(np.diff(pixels, axis=1)).mean())


class TestSheets:
    @pytest.mark.parametrize(
        ("options", "panels"),
        [(["--side-by-side"], 2), (["--heatmap"], 2), (["--side-by-side", "--heatmap", "--group=kid"], 3)],
    )
    @pytest.mark.parametrize("more", [[], ["--tiles"], ["--direction=b2a", "--size=64"]])
    def test_panels(self, i2i, trained, image, target, options, panels, more) -> None:
        assert i2i("translate", trained, image, *options, *more, "--out", target).status == 0
        with Image.open(target / "face.png") as sheet, Image.open(image) as source:
            assert sheet.size == (45 * panels, 70)
            first = np.asarray(sheet.crop((0, 0, 45, 70)))
            assert np.array_equal(first, source) == ("--side-by-side" in options)
            bare = target / "bare.png"
            bare_options = [one for one in options if one.startswith("--group")]
            i2i("translate", trained, image, *bare_options, *more, "--out", bare)
            assert np.array_equal(np.asarray(sheet.crop((45 * panels - 45, 0, 45 * panels, 70))), Image.open(bare))

    def test_attention_is_where_the_generator_looks(self, i2i, trained, image, target, monkeypatch) -> None:
        spot = Image.new("L", (8, 8))
        spot.putpixel((6, 1), 255)
        monkeypatch.setattr("i2i.translation.pipeline.attention_of", lambda *_: spot)
        assert i2i("translate", trained, image, "--heatmap", "--out", target).status == 0
        warmth = np.asarray(Image.open(target / "face.png").crop((0, 0, 45, 70)), np.int16)
        hottest = np.unravel_index((warmth[..., 0] - warmth[..., 2]).argmax(), (70, 45))
        assert (hottest[0] < 35, hottest[1] > 22) == (True, True)

    def test_a_generator_without_attention(self, refused, folder_root, image, tmp_path) -> None:
        arguments = [*TINY, "--steps=1", "--backbone=cyclegan", "--data", folder_root, "--out", tmp_path / "cycle"]
        train("train", *arguments)
        message = refused("translate", tmp_path / "cycle", image, "--heatmap", "--out", tmp_path / "new")
        mentions(message, "resnet", "--heatmap", "ugatit", "photo2cartoon")
        assert not (tmp_path / "new").exists()


class TestMetadata:
    @pytest.fixture
    def transparent(self, tmp_path) -> Path:
        exif = Image.Exif()
        exif[ExifTags.Base.Make] = "Leica"
        layer = Image.effect_noise((40, 50), 80).convert("RGBA")
        layer.paste((0, 0, 0, 0), (0, 0, 20, 50))
        layer.save(tmp_path / "cut-out.png", exif=exif, dpi=(300, 300))
        return tmp_path / "cut-out.png"

    @pytest.mark.parametrize("more", [[], ["--tiles"]])
    def test_what_is_not_colour_is_kept(self, i2i, trained, transparent, target, more) -> None:
        assert i2i("translate", trained, transparent, *more, "--out", target).status == 0
        with Image.open(target / "cut-out.png") as actual:
            assert [actual.getpixel((x, 25))[3] for x in (5, 35)] == [0, 255]
            assert (actual.getexif()[ExifTags.Base.Make], round(actual.info["dpi"][0])) == ("Leica", 300)

    def test_nothing_is_kept_on_request(self, i2i, trained, transparent, target) -> None:
        assert i2i("translate", trained, transparent, "--no-metadata", "--out", target).status == 0
        with Image.open(target / "cut-out.png") as actual:
            assert (actual.mode, len(actual.getexif()), "dpi" in actual.info) == ("RGB", 0, False)

    def test_a_jpeg_has_the_translated_background(self, i2i, trained, transparent, target) -> None:
        assert i2i("translate", trained, transparent, "--format=jpg", "--out", target).status == 0
        with Image.open(target / "cut-out.jpg") as actual:
            assert (actual.mode, actual.getexif()[ExifTags.Base.Make]) == ("RGB", "Leica")


class TestFrames:
    @pytest.fixture
    def animation(self, tmp_path) -> Path:
        images = [Image.effect_noise((40, 40), 80) for _ in range(3)]
        images[0].save(tmp_path / "wave.gif", save_all=True, append_images=images[1:], duration=50)
        return tmp_path / "wave.gif"

    def test_all_frames_on_request(self, i2i, trained, animation, target, monkeypatch) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")
        result = i2i("translate", trained, animation, "--frames", "--format=webp", "--out", target)
        assert (result.status, "3/3" in result.out) == (0, True)
        with Image.open(target / "wave.webp") as actual:
            assert actual.n_frames == 3

    def test_too_many_frames(self, i2i, refused, trained, animation, target) -> None:
        arguments = ["translate", trained, animation, "--frames", "--out", target]
        mentions(refused(*arguments, "--max-frames=2"), animation, "3 frames", "more than 2", "--max-frames")
        assert i2i(*arguments, "--max-frames=3").status == 0

    def test_the_first_frame_with_a_note(self, i2i, trained, animation, target) -> None:
        result = i2i("translate", trained, animation, "--out", target)
        check_line(result.out, "The image is", "--frames")

    def test_videos_by_a_quoted_glob_keep_their_format(self, i2i, trained, tmp_path, target) -> None:
        av = pytest.importorskip("av", reason="PyAV is missing: pip install 'i2i[video]'")
        with av.open(str(tmp_path / "film.mp4"), "w") as container:
            stream = container.add_stream("libx264", 10)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for _ in range(4):
                image = Image.effect_noise((48, 32), 80).convert("RGB")
                container.mux(stream.encode(av.VideoFrame.from_image(image)))
            container.mux(stream.encode())
        result = i2i("translate", trained, tmp_path / "*.mp4", "--format=png", "--group=auto", "--out", target)
        assert result.status == 2  # as nothing can detect groups
        result = i2i("translate", trained, tmp_path / "*.mp4", "--format=png", "--out", target)
        assert (result.status, listed(target)) == (0, ["film.mp4"])


@pytest.mark.full
def test_200_images_are_resumed_after_an_interruption(trained, tmp_path) -> None:
    (tmp_path / "album").mkdir()
    for number in range(200):
        Image.effect_noise((40, 40), 80).convert("RGB").save(tmp_path / "album" / f"{number:03}.png")
    new = tmp_path / "new"
    arguments = [sys.executable, "-m", "i2i", "translate", trained, tmp_path / "album", "--out", new]
    arguments += ["--size=160", "--batch=1", "--threads=1", "--skip-existing"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and (not new.is_dir() or len(listed(new)) < 5):
            time.sleep(0.01)  # its lines come in blocks of many images
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, "--skip-existing" in errors) == (130, True)
    done = {path: path.stat().st_mtime_ns for path in new.glob("*.png")}
    assert 5 <= len(done) < 200
    result = subprocess.run(arguments, capture_output=True, text=True)
    assert (result.returncode, result.stdout.count("->")) == (0, 200 - len(done))
    assert listed(new) == [f"{number:03}.png" for number in range(200)]  # nothing half-written is left
    assert all(path.stat().st_mtime_ns == before for path, before in done.items())


class TestStreams:
    @pytest.fixture
    def piped(self, image, monkeypatch) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(image.read_bytes())))

    @pytest.mark.parametrize(("options", "format_"), [([], "PNG"), (["--out=-", "--format=jpg"], "JPEG")])
    def test_from_standard_input_to_standard_output(self, trained, piped, capfdbinary, options, format_) -> None:
        with pytest.raises(SystemExit) as exit_:
            cli.main(["translate", str(trained), "-", *options])
        captured = capfdbinary.readouterr()
        assert not exit_.value.code
        with Image.open(io.BytesIO(captured.out)) as actual:
            assert (actual.size, actual.format) == ((45, 70), format_)
        assert b"standard input -> standard output\n" in captured.err

    def test_from_standard_input_to_a_file(self, i2i, trained, piped, target) -> None:
        assert i2i("translate", trained, "-", "--out", target / "face.webp").status == 0
        assert listed(target) == ["face.webp"]

    def test_a_closed_one(self, refused, trained, monkeypatch) -> None:
        monkeypatch.setattr("sys.stdin", None)
        mentions(refused("translate", trained, "-"), "Standard input is closed")

    def test_one_that_never_ends(self, refused, trained, monkeypatch) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=SimpleNamespace(read=bytes)))
        monkeypatch.setattr("i2i.translation.streams.MOST", 2**22)
        mentions(refused("translate", trained, "-"), f"more than {2**22} bytes")

    def test_what_is_no_image(self, refused, trained, monkeypatch) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"no image")))
        mentions(refused("translate", trained, "-"), "standard input", "0 of 1")

    def test_many_images_to_one_stream(self, refused, trained, folder_root) -> None:
        folder = folder_root / "kid" / "testA"
        mentions(refused("translate", trained, folder, "--out", "-"), "2 images", "standard output", "--out")


class TestMistakes:
    @pytest.fixture
    def refuses(self, refused, trained, target):
        def call(*arguments: object) -> str:
            message = refused("translate", trained, *arguments, "--out", target)
            assert not target.exists()
            return message

        return call

    def test_unknown_group(self, refuses, image) -> None:
        message = refuses(image, "--group", "kidd")
        mentions(message, "kidd", "kid", "woman", "man")

    def test_auto_without_anything_that_tells(self, refuses, image) -> None:
        mentions(refuses(image, "--group", "auto"), "woman", "kid", "man")

    def test_a_detector_that_is_not_asked_or_not_there(self, refuses, image) -> None:
        mentions(refuses(image, "--detector", "light"), "--detector light", "--group auto")
        mentions(refuses(image, "--detector", "light", "--group=auto"), "light")

    def test_unknown_direction(self, refuses, image) -> None:
        mentions(refuses(image, "--direction", "a2c"), "--direction", "a2c")

    def test_missing_image(self, refuses) -> None:
        mentions(refuses("gone.png"), "gone.png")

    def test_glob_without_a_match(self, refuses, tmp_path) -> None:
        mentions(refuses(tmp_path / "*.jpg"), "*.jpg")

    def test_empty_folder(self, refuses, tmp_path) -> None:
        (tmp_path / "empty").mkdir()
        mentions(refuses(tmp_path / "empty"), tmp_path / "empty")

    @pytest.mark.parametrize("content", [b"no image", b""])
    def test_broken_image(self, refuses, image, content) -> None:
        image.write_bytes(content)
        first, last = refuses(image).splitlines()
        assert first.startswith(f"{image} ")
        mentions(last, "0 of 1")

    def test_half_image(self, refuses, image) -> None:
        image.write_bytes(image.read_bytes()[:3000])
        mentions(refuses(image), image)

    def test_one_broken_image_does_not_stop_the_others(self, refused, trained, own_root, target) -> None:
        (own_root / "man" / "testA" / "0.png").write_bytes(b"")
        message = refused("translate", trained, own_root / "man" / "testA", "--out", target)
        mentions(message, "1 of 2")
        assert listed(target) == ["1.png"]

    def test_two_images_of_one_name(self, refuses, folder_root, target) -> None:
        message = refuses(folder_root / "man" / "testA", folder_root / "kid" / "testA")
        mentions(message, f"{target}/0.png")

    def test_many_images_into_one_file(self, refused, trained, folder_root, tmp_path) -> None:
        message = refused("translate", trained, folder_root / "man" / "testA", "--out", tmp_path / "one.png")
        mentions(message, 2, f"{tmp_path}/one.png", "--out")
        assert listed(tmp_path) == []

    @pytest.mark.parametrize("name", ["old", "old.png"])
    def test_existing_translation(self, refused, trained, image, tmp_path, name) -> None:
        old = tmp_path / "old.png" if name == "old.png" else tmp_path / "old" / "face.png"
        old.parent.mkdir(exist_ok=True)
        old.write_text("precious")
        message = refused("translate", trained, image, "--out", tmp_path / name)
        mentions(message, old, "--out", "--overwrite")
        assert old.read_text() == "precious"

    @pytest.mark.parametrize("below", ["file", "file/deep/down"])
    def test_file_where_a_folder_was_expected(self, refused, trained, image, tmp_path, below) -> None:
        (tmp_path / "file").write_text("precious")
        message = refused("translate", trained, image, "--out", tmp_path / below)
        mentions(message, f"{tmp_path}/file", "--out")
        assert (tmp_path / "file").read_text() == "precious"

    def test_unknown_format(self, refused, trained, image, tmp_path) -> None:
        message = refused("translate", trained, image, "--out", tmp_path / "new.xyz")
        mentions(message, f"{tmp_path}/new.xyz", ".xyz")
        assert listed(tmp_path) == ["face.png"]


class TestModels:
    @pytest.fixture
    def refuses(self, refused, image, target):
        def call(model: object) -> str:
            message = refused("translate", model, image, "--out", target)
            assert not target.exists()
            return message

        return call

    def test_missing(self, refuses) -> None:
        mentions(refuses("gone"), "gone", ".safetensors")

    def test_folder_of_images(self, refuses, folder_root) -> None:
        message = refuses(folder_root)
        mentions(message, folder_root, "model.safetensors")

    def test_image(self, refuses, image) -> None:
        mentions(refuses(image), image)

    @pytest.mark.parametrize("keep", [0, 100, 5000, -1])
    def test_truncated(self, refuses, trained, tmp_path, keep) -> None:
        own = Path(shutil.copytree(trained, tmp_path / "own"))
        model = own / "model.safetensors"
        model.write_bytes(model.read_bytes()[:keep])
        message = refuses(own)
        mentions(message, model)

    def test_foreign(self, refuses, tmp_path) -> None:
        save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors", {"format": "pt"})
        message = refuses(tmp_path / "foreign.safetensors")
        mentions(message, "foreign.safetensors")

    def test_pickle_is_never_opened(self, refuses, tmp_path) -> None:
        class Bomb:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "exploded",))

        torch.save(Bomb(), tmp_path / "model.pt")
        mentions(refuses(tmp_path / "model.pt"), tmp_path / "model.pt")
        assert not (tmp_path / "exploded").exists()

    def test_training_state(self, refuses, trained) -> None:
        mentions(refuses(trained / "state.safetensors"), trained / "state.safetensors")
