"""Video files, read and written by PyAV: frames are replaced, sound is copied, and times are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from i2i.errors import ConfigError, DataError
from i2i.storage.files import oddity, whole_file

if TYPE_CHECKING:
    import av
    from av import VideoFrame, VideoStream
    from av.container import InputContainer, OutputContainer

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
MAX_PIXELS = 2**24
"""Most pixels of a frame, 16.8 million, which is more than 5K: encoding keeps dozens of frames in memory."""
_FORMATS = "mov,mp4,matroska,webm,avi"
"""What a video may be whatever its name: other formats lead to other files, to the network, or never end."""
_CODECS = {".webm": "libvpx-vp9", ".avi": "mpeg4"}

Replace = Callable[[Iterator[Image.Image]], Iterator[Image.Image]]
"""Maps the frames of a video to as many others, all of one size."""


def is_video(path: Path) -> bool:
    """Return whether a file is a video by its name."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def check_video(path: Path) -> None:
    """Raise `ConfigError` if the package that reads videos is not installed."""
    if find_spec("av") is None:
        raise ConfigError(f"{path} is a video, which needs an extra. Install it: pip install 'i2i[video]'.")


def video_frames(path: Path) -> int | None:
    """Return how many frames a video has, as far as its header says so."""
    with _opened(path) as video:
        stream = video.streams.video[0]
        if stream.frames:
            return stream.frames
        seconds = float(video.duration or 0) / 1e6
        return round(seconds * float(stream.average_rate or 0)) or None


def rewrite_video(source: Path, target: Path, replace: Replace, quality: int) -> None:
    """Write a video with other frames; its sound, times and frame rate stay.

    Args:
        source: The video.
        target: The new video; its suffix decides the format.
        replace: Called once with all frames.
        quality: From 1 to 100.

    Raises:
        DataError: The source is not a readable video, or the target cannot be written.
    """
    import av

    with _opened(source) as read, whole_file(target) as temporary:
        try:
            with av.open(_address(temporary), "w") as written:
                _Rewriting(read, written, target.suffix.lower(), quality).run(replace)
        except av.FFmpegError as error:
            raise _damaged(source, error) from error


class _Rewriting:
    """Reads one container and writes another, frame by frame."""

    def __init__(self, read: InputContainer, written: OutputContainer, suffix: str, quality: int) -> None:
        self._read, self._written = read, written
        self._suffix, self._quality = suffix, quality
        self._source = read.streams.video[0]
        self._source.thread_type = "AUTO"
        self._sound = {one.index: written.add_stream_from_template(one) for one in read.streams.audio}
        self._packets: deque[Any] = deque()
        self._times: deque[tuple[int | None, Any]] = deque()

    def run(self, replace: Replace) -> None:
        stream: Any = None
        for image in replace(self._frames()):
            stream = stream or self._stream(image)
            self._encode(stream, image)
            self._copy_sound()
        if stream is None:
            raise DataError("It has no frames. Leave it out.")
        self._written.mux(stream.encode())
        self._copy_sound()

    def _frames(self) -> Iterator[Image.Image]:
        """Yield frames upright, and keep the sound on the way."""
        for packet in self._read.demux(self._source, *self._read.streams.audio):
            if packet.stream.index in self._sound:
                self._packets.append(packet)
                continue
            decoded: Any = packet.decode()
            for frame in decoded:
                _check_size(frame)
                self._times.append((frame.pts, frame.time_base))
                image = frame.to_image()
                yield image.rotate(frame.rotation, expand=True) if frame.rotation else image

    def _stream(self, image: Image.Image) -> Any:
        crf = str(round(51 - 0.4 * self._quality))
        stream: Any = self._written.add_stream(_CODECS.get(self._suffix, "libx264"), self._source.average_rate)
        stream.width, stream.height = _even(image.size)
        stream.pix_fmt = "yuv420p"
        if self._suffix == ".avi":  # whose frames have a constant rate
            stream.bit_rate = 80_000 * self._quality
        else:
            stream.options = {"crf": crf, "b": "0"} if self._suffix == ".webm" else {"crf": crf}
            stream.codec_context.time_base = self._source.time_base
        return stream

    def _encode(self, stream: Any, image: Image.Image) -> None:
        import av

        from_image: Any = av.VideoFrame.from_image
        frame = from_image(image.crop((0, 0, *_even(image.size))))
        frame.pts, frame.time_base = self._times.popleft()
        if self._suffix == ".avi":
            frame.pts = None
        self._written.mux(stream.encode(frame))

    def _copy_sound(self) -> None:
        while self._packets:
            packet = self._packets.popleft()
            if packet.dts is not None:  # the packet that ends a stream has none
                packet.stream = self._sound[packet.stream.index]
                self._written.mux(packet)


def _opened(path: Path) -> InputContainer:
    import av

    if odd := oddity(path):
        raise DataError(f"{path} {odd}. Name a video file.")
    try:
        container = av.open(_address(path), options={"format_whitelist": _FORMATS})
    except av.FFmpegError as error:
        raise _damaged(path, error) from error
    try:
        if not container.streams.video:
            raise DataError(f"{path} has no pictures, only sound. Leave it out.")
        _check_size(container.streams.video[0])
    except DataError:
        container.close()
        raise
    return container


def _address(path: Path) -> str:
    """Return a path as FFmpeg takes it for nothing but a file; without the prefix, names may begin with a protocol."""
    return f"file:{path}"


def _check_size(pictures: VideoStream | VideoFrame) -> None:
    """Refuse large pictures; those of a frame may differ from what the header says."""
    if pictures.width * pictures.height > MAX_PIXELS:
        raise DataError(
            f"Its frames have {pictures.width} x {pictures.height} pixels, more than {MAX_PIXELS}. Make it smaller."
        )


def _damaged(path: Path, error: av.FFmpegError) -> DataError:
    return DataError(f"{path} cannot be translated as a video ({error.strerror}). Replace or remove it.")


def _even(size: tuple[int, int]) -> tuple[int, int]:
    """Return a size without the odd last column and row, which video formats lack."""
    width, height = size
    return max(2, width - width % 2), max(2, height - height % 2)
