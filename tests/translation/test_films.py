"""Animated images and videos: every frame is translated; times, loops, transparency and sound stay."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.translation.jobs import Job
from i2i.translation.pipeline import Pipeline
from i2i.translation.sheets import Sheet
from tests.wording import check, refused

SIZE = (48, 34)
DURATIONS = [40, 120, 80]


@pytest.fixture(scope="module")
def model(tiny: dict[str, Any], registry: Any) -> Model:
    torch.manual_seed(0)
    return Model(resolve(tiny, registry), "woman")


def colours(number: int) -> Image.Image:
    """Return a gradient to the right, downwards or to the left."""
    return Image.linear_gradient("L").rotate(90 * number).resize(SIZE).convert("RGB")


def write_animation(path: Path, *, transparent: bool = False, **options: object) -> Path:
    images = [colours(number) for number in range(3)]
    if transparent:
        for image in images:
            image.putalpha(255)
            image.paste((0, 0, 0, 0), (0, 0, 20, 34))
    images[0].save(path, save_all=True, append_images=images[1:], duration=DURATIONS, **options)
    return path


def run(model: Model, source: Path, target: Path, **options: Any) -> str:
    options = {"frames": True, **options}
    (outcome,) = Pipeline(model, **options).run([Job(source, target)])
    return outcome.error


class TestAnimations:
    @pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
    @pytest.mark.parametrize("out", [".gif", ".webp", ".png"])
    def test_every_frame_with_its_time(self, model, tmp_path, suffix, out) -> None:
        source = write_animation(tmp_path / f"film{suffix}", loop=3)
        assert run(model, source, tmp_path / f"new{out}") == ""
        with Image.open(tmp_path / f"new{out}") as actual:
            found = [self.shown(frame) for frame in ImageSequence.Iterator(actual)]
            assert ([round(duration) for _, duration in found], actual.info["loop"]) == (DURATIONS, 3)
        for number, (frame, _) in enumerate(found):
            difference = np.abs(np.asarray(frame, int) - np.asarray(model.translate(colours(number)), int))
            assert difference.mean() < (12 if {suffix, out} & {".gif", ".webp"} else 4)

    @staticmethod
    def shown(frame: Image.Image) -> tuple[Image.Image, float]:
        before = frame.info.get("duration")
        colour = frame.convert("RGB")  # which loads it
        return colour, frame.info.get("duration", before)

    def test_more_frames_than_memory_holds(self, model, tmp_path, monkeypatch) -> None:
        source = write_animation(tmp_path / "film.gif")
        monkeypatch.setattr("i2i.images.animations.MAX_PIXELS", 3 * SIZE[0] * SIZE[1] - 1)
        check(run(model, source, tmp_path / "new.gif"), source, "3 frames of 48 x 34")
        assert not (tmp_path / "new.gif").exists()

    def test_a_pipe_is_not_waited_for(self, model, tmp_path) -> None:
        os.mkfifo(tmp_path / "film.gif")
        assert "named pipe" in run(model, tmp_path / "film.gif", tmp_path / "new.gif")

    @pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
    def test_transparency(self, model, tmp_path, suffix) -> None:
        source = write_animation(tmp_path / f"film{suffix}", transparent=True, disposal=2, loop=0, lossless=True)
        assert run(model, source, tmp_path / f"new{suffix}") == ""
        with Image.open(tmp_path / f"new{suffix}") as actual:
            for frame in ImageSequence.Iterator(actual):
                layer = frame.convert("RGBA")
                assert [layer.getpixel((x, 17))[3] for x in (5, 40)] == [0, 255]

    def test_one_that_plays_once_still_does(self, model, tmp_path) -> None:
        source = write_animation(tmp_path / "film.gif")
        assert run(model, source, tmp_path / "new.gif") == ""
        with Image.open(tmp_path / "new.gif") as actual:
            assert "loop" not in actual.info

    def test_the_first_frame_alone_without_frames(self, model, tmp_path) -> None:
        source = write_animation(tmp_path / "film.gif")
        assert run(model, source, tmp_path / "new.png", frames=False) == ""
        with Image.open(tmp_path / "new.png") as actual:
            assert actual.n_frames == 1

    def test_sheets_and_tiles(self, model, tmp_path) -> None:
        source = write_animation(tmp_path / "film.webp")
        assert run(model, source, tmp_path / "new.webp", sheet=Sheet(source=True, heatmap=True), tiles=True) == ""
        with Image.open(tmp_path / "new.webp") as actual:
            assert (actual.size, actual.n_frames) == ((3 * SIZE[0], SIZE[1]), 3)

    def test_a_format_of_one_frame(self, model, tmp_path) -> None:
        source = write_animation(tmp_path / "film.gif")
        with refused(ConfigError, tmp_path / "new.jpg", "--format gif", "--frames"):
            run(model, source, tmp_path / "new.jpg")

    def test_half_an_animation_leaves_nothing(self, model, tmp_path) -> None:
        source = write_animation(tmp_path / "film.webp")
        source.write_bytes(source.read_bytes()[:-30])
        assert str(source) in run(model, source, tmp_path / "new.webp")
        assert [path.name for path in tmp_path.iterdir()] == ["film.webp"]


class TestVideos:
    @pytest.fixture
    def av(self) -> Any:
        return pytest.importorskip("av", reason="PyAV is missing: pip install 'i2i[video]'")

    @pytest.fixture
    def write(self, av, tmp_path) -> Callable[..., Path]:
        """Write a video of 12 frames and half a second of sound."""

        def call(name: str, codec: str, sound: str, rate: int = 24, size: tuple[int, int] = SIZE) -> Path:
            with av.open(str(tmp_path / name), "w") as container:
                video, audio = container.add_stream(codec, rate), container.add_stream(sound, 48_000)
                video.width, video.height, video.pix_fmt = *size, "yuv420p"
                for number in range(12):
                    container.mux(video.encode(av.VideoFrame.from_image(colours(number // 4).resize(size))))
                container.mux(video.encode())
                wave = np.sin(np.arange(24_000) * 440 * 2 * math.pi / 48_000).astype(np.float32)
                format_ = audio.codec_context.format.name if audio.codec_context.format else "fltp"
                frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
                frame.sample_rate, frame.pts = 48_000, 0
                resampler = av.AudioResampler(format_, audio.codec_context.layout or "mono", 48_000,
                                              audio.codec_context.frame_size or None)  # fmt: skip
                for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                    container.mux(audio.encode(piece))
                container.mux(audio.encode())
            return tmp_path / name

        return call

    @pytest.mark.parametrize(
        ("name", "codec", "sound"),
        [("film.mp4", "libx264", "aac"), ("film.mkv", "libx264", "aac"), ("film.mov", "libx264", "aac"),
         ("film.webm", "libvpx-vp9", "libopus"), ("film.avi", "mpeg4", "mp3")],
    )  # fmt: skip
    def test_frames_times_and_sound(self, av, model, write, tmp_path, name, codec, sound) -> None:
        source = write(name, codec, sound)
        counted: list[tuple[int, int | None]] = []
        target = tmp_path / f"new-{name}"
        assert run(model, source, target, watch=lambda _, done, total: counted.append((done, total))) == ""
        assert [done for done, _ in counted] == list(range(1, 13))
        assert counted[0][1] in (12, None) or abs(counted[0][1] - 12) <= 1
        before, after = self.content(av, source), self.content(av, target)
        assert (after["size"], after["rate"]) == (SIZE, Fraction(24))
        assert len(after["times"]) == len(before["times"]) == 12
        if not name.endswith("avi"):
            assert after["times"] == pytest.approx(before["times"], abs=0.002)
        assert after["sound"] == before["sound"]
        expected = np.asarray(model.translate(colours(1)), int)
        assert np.abs(np.asarray(after["images"][5], int) - expected).mean() < 14

    def test_an_odd_size_and_a_frame_rate_with_a_fraction(self, av, model, write, tmp_path) -> None:
        source = write("film.mkv", "ffv1", "flac", rate=Fraction(30000, 1001), size=(46, 34))
        assert run(model, source, tmp_path / "new.mp4", sheet=Sheet(source=True)) == ""
        after = self.content(av, tmp_path / "new.mp4")
        assert (after["size"], float(after["rate"])) == ((92, 34), pytest.approx(30000 / 1001, abs=0.01))

    def test_few_frames_are_kept_to_be_shown(self, model, write, tmp_path, monkeypatch) -> None:
        sizes, translate = [], model.translate
        monkeypatch.setattr("i2i.translation.pipeline.KEPT", 3 * SIZE[0] * SIZE[1])
        monkeypatch.setattr(model, "translate", lambda x, *rest: sizes.append(len(x)) or translate(x, *rest))
        source = write("film.mkv", "ffv1", "flac")
        assert run(model, source, tmp_path / "new.mkv", sheet=Sheet(source=True)) == ""
        assert sizes == [3] * 4

    def test_what_is_no_video(self, model, tmp_path, av) -> None:
        (tmp_path / "film.mp4").write_bytes(b"no video")
        check(run(model, tmp_path / "film.mp4", tmp_path / "new.mp4"), tmp_path / "film.mp4", varies=r"\(.*\)")
        assert not (tmp_path / "new.mp4").exists()

    @pytest.mark.parametrize("name", ["http:film.mp4", "concat:film.mp4|film.mp4", "%03d.mp4", "-.mp4"])
    def test_a_name_is_no_address(self, model, write, tmp_path, monkeypatch, name) -> None:
        monkeypatch.chdir(tmp_path)
        write("film.mkv", "ffv1", "flac").rename(name)
        assert run(model, Path(name), Path(f"new:{name}")) == ""
        assert Path(f"new:{name}").stat().st_size

    @pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile film.mkv\n", "#EXTM3U\n#EXTINF:1,\nfilm.mkv\n"])
    def test_a_list_of_other_files_is_no_video(self, model, write, tmp_path, text) -> None:
        write("film.mkv", "ffv1", "flac")
        (tmp_path / "list.mp4").write_text(text)
        assert "cannot be translated as a video" in run(model, tmp_path / "list.mp4", tmp_path / "new.mp4")

    def test_frames_too_large_to_encode(self, model, write, tmp_path, monkeypatch) -> None:
        source = write("film.mkv", "ffv1", "flac")
        monkeypatch.setattr("i2i.translation.videos.MAX_PIXELS", SIZE[0] * SIZE[1] - 1)
        check(run(model, source, tmp_path / "new.mp4"), source, "48 x 34")

    def test_a_video_that_is_cut_off(self, model, write, tmp_path) -> None:
        source = write("film.mp4", "libx264", "aac")
        source.write_bytes(source.read_bytes()[:600])
        assert str(source) in run(model, source, tmp_path / "new.mp4")
        assert not (tmp_path / "new.mp4").exists()

    def test_a_video_becomes_no_image(self, model, write, tmp_path) -> None:
        source = write("film.mp4", "libx264", "aac")
        with refused(ConfigError, source, tmp_path / "new.png", ".mp4"):
            run(model, source, tmp_path / "new.png")

    def test_a_missing_package(self, model, tmp_path, monkeypatch) -> None:
        (tmp_path / "film.mp4").touch()
        monkeypatch.setattr("i2i.translation.videos.find_spec", lambda _: None)
        with refused(ConfigError, tmp_path / "film.mp4", "i2i[video]"):
            run(model, tmp_path / "film.mp4", tmp_path / "new.mp4")

    @staticmethod
    def content(av: Any, path: Path) -> dict[str, Any]:
        with av.open(str(path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            frames = list(container.decode(video))
            found = {
                "size": (video.width, video.height),
                "rate": video.average_rate,
                "times": [float(frame.pts * frame.time_base) for frame in frames],
                "images": [frame.to_image() for frame in frames],
            }
            container.seek(0)
            found["sound"] = b"".join(bytes(packet) for packet in container.demux(audio))
            return found


class TestHeic:
    @pytest.fixture
    def heic(self, tmp_path) -> Path:
        pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is missing: pip install 'i2i[heic]'")
        pillow_heif.from_pillow(Image.effect_noise(SIZE, 40).convert("RGB")).save(tmp_path / "photo.heic")
        return tmp_path / "photo.heic"

    @pytest.mark.parametrize("suffix", [".heic", ".jpg", ".avif"])
    def test_read_and_written(self, model, heic, tmp_path, suffix) -> None:
        assert run(model, heic, tmp_path / f"new{suffix}") == ""
        with Image.open(tmp_path / f"new{suffix}") as actual:
            assert (actual.size, actual.format) == (SIZE, {".heic": "HEIF", ".jpg": "JPEG", ".avif": "AVIF"}[suffix])

    def test_whatever_its_name(self, model, heic, tmp_path) -> None:
        heic.rename(tmp_path / "photo.jpg")
        assert run(model, tmp_path / "photo.jpg", tmp_path / "new.jpg") == ""

    def test_a_missing_package(self, model, heic, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr("i2i.images.heic.find_spec", lambda _: None)
        check(run(model, heic, tmp_path / "new.jpg"), heic, "i2i[heic]")
