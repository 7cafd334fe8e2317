"""What may spoil a training: found by looking at every image of a data set once, before a night is spent."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.compute.units import is_or_are
from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS
from i2i.errors import DataError
from i2i.training.loader import image_paths, usable_image

ALIKE, TONES = 8, 8
"""Most by which nearly equal images differ: bits, of 256, of their hashes, and 8-bit values of their thumbnails."""

FEW_BASE, FEW_NEW = 100, 5
"""Training images per domain that the base group and a new group should have."""

LONG, LOPSIDED = 3.0, 5.0
"""How often an image is as long as wide, and a domain as large as the other, when that is mentioned."""

_GREY = 6
"""Most by which the channels of a greyscale image differ, of 255; JPEG adds a few."""


@dataclass(frozen=True)
class Seen:
    """An image of a data set.

    Attributes:
        path: The file.
        part: Where it belongs, such as ``"woman, train a"``.
        domain: ``a`` or ``b``.
        held_out: Whether it is held out.
        size: Width and height.
        grey: Whether it has no colours.
        digest: Of its pixels.
        look: 256 bits that similar images share, as 4 numbers.
        thumbnail: ``(32, 32, 3)``, of 8-bit values.
    """

    path: Path
    part: str
    domain: str
    held_out: bool
    size: tuple[int, int]
    grey: bool
    digest: bytes
    look: NDArray[np.uint64]
    thumbnail: NDArray[np.uint8]

    def resembles(self, other: Seen) -> bool:
        """Return whether two images with similar hashes have the same colours, too; flat ones must be equal."""
        if self.digest == other.digest:
            return True
        apart = np.abs(np.subtract(self.thumbnail, other.thumbnail, dtype=np.int16)).mean()
        return bool(self.look.any() and apart <= TONES)


@dataclass(frozen=True)
class Finding:
    """Something that may spoil a training.

    Attributes:
        problem: What, where, and how many.
        remedy: What to do.
    """

    problem: str
    remedy: str


def look_at(dataset: Dataset) -> list[Seen]:
    """Read all images of a data set.

    Raises:
        DataError: Some cannot be trained on; it has one line for each.
    """
    listed = [
        (path, f"{group}, {name} {domain}", domain, name == "test")
        for group in dataset.groups
        for name, part in (("train", dataset.train), ("test", dataset.test))
        for domain in DOMAINS
        for path in part(group, domain)
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = list(pool.map(lambda one: _seen_or_problem(*one), listed))
    problems = {path: problem for (path, *_), problem in zip(listed, looked, strict=True) if isinstance(problem, str)}
    if problems:
        raise DataError("\n".join(problems[path] for path in image_paths(dataset) if path in problems))
    return [image for image in looked if isinstance(image, Seen)]


def findings(dataset: Dataset, images: Sequence[Seen], size: int) -> list[Finding]:
    """Return what may spoil a training at a size, the worst first."""
    alike = _alike(images)
    checks = _leaks(alike), _copies(alike), _counts(dataset), _small(images, size), _long(images), _grey_ones(images)
    return list(chain.from_iterable(checks))


def perceptual_hash(image: Image.Image) -> NDArray[np.uint64]:
    """Return 256 bits: whether each of 16 x 16 grey values is darker than its right neighbour (N. Krawetz, dHash)."""
    grey = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.LANCZOS), np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1]).view(np.uint64)


def _seen_or_problem(path: Path, part: str, domain: str, held_out: bool) -> Seen | str:
    try:
        return _seen(path, part, domain, held_out)
    except DataError as error:
        return str(error)


def _seen(path: Path, part: str, domain: str, held_out: bool) -> Seen:
    image = usable_image(path)
    thumbnail = np.asarray(image.resize((32, 32)))
    grey = int((thumbnail.max(2) - thumbnail.min(2)).max()) <= _GREY
    digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).digest()
    return Seen(path, part, domain, held_out, image.size, grey, digest, perceptual_hash(image), thumbnail)


def _leaks(alike: Sequence[tuple[Seen, Seen]]) -> Iterator[Finding]:
    """Find images that are held out and also trained on, and images that are in both domains."""
    leaks, both = [], []
    for one, other in alike:
        if one.domain != other.domain:
            both.append((one, other))
        elif one.held_out != other.held_out:
            leaks.append((one, other))
    if leaks:
        yield Finding(
            f"{_images(leaks)} held out and trained on: {_pair(leaks[0])}.",
            "Scores would be too good. Remove one of each, or all pictures of one person from one side.",
        )
    if both:
        yield Finding(
            f"{_images(both)} in both domains: {_pair(both[0])}.",
            "Source and target should differ. Move each to the domain that it belongs to.",
        )


def _copies(alike: Sequence[tuple[Seen, Seen]]) -> Iterator[Finding]:
    """Find copies within the training images of one domain."""
    within = [pair for pair in alike if pair[0].domain == pair[1].domain and not any(i.held_out for i in pair)]
    same = [pair for pair in within if pair[0].digest == pair[1].digest]
    near = [pair for pair in within if pair[0].digest != pair[1].digest]
    if same:
        yield Finding(f"{_images(same)} there twice: {_pair(same[0])}.", "Remove one of each; copies count double.")
    if near:
        yield Finding(
            f"{_images(near)} nearly the same as another: {_pair(near[0])}.",
            "Frames of one video or edits of one picture add little. Keep one of each.",
        )


def _alike(images: Sequence[Seen]) -> list[tuple[Seen, Seen]]:
    """Return pairs of images that look the same, the earlier first: of each image the first of each kind.

    All pairs of many copies would be too many, so that each image is compared to one copy of every other, and to
    near copies only until one is found.
    """
    parts: defaultdict[tuple[str, bool], _Distinct] = defaultdict(lambda: _Distinct(len(images)))
    pairs = []
    for number, image in enumerate(images):
        alike = sorted(other for part in parts.values() for other in part.alike(image))
        pairs += [(images[other], image) for other in alike]
        parts[image.domain, image.held_out].add(number, image)
    return pairs


class _Distinct:
    """Different images of one domain, held out or not, with their numbers."""

    def __init__(self, most: int) -> None:
        self._looks = np.empty((4, most), np.uint64)
        self._images: list[tuple[int, Seen]] = []
        self._numbers: dict[bytes, int] = {}

    def add(self, number: int, image: Seen) -> None:
        """Add an image unless there is a copy of it; flat ones resemble only their copies."""
        if image.digest in self._numbers:
            return
        self._numbers[image.digest] = number
        if image.look.any():
            self._looks[:, len(self._images)] = image.look
            self._images.append((number, image))

    def alike(self, image: Seen) -> Iterator[int]:
        """Yield the number of an image's copy, and of the first image that is nearly the same."""
        if image.digest in self._numbers:
            yield self._numbers[image.digest]
        differing = np.bitwise_count(self._looks[:, : len(self._images)] ^ image.look[:, None]).sum(0, np.uint16)
        for index in np.flatnonzero(differing <= ALIKE):
            number, other = self._images[index]
            if other.digest != image.digest and other.resembles(image):
                yield number
                return


def _counts(dataset: Dataset) -> Iterator[Finding]:
    for group in dataset.groups:
        counts = {domain: len(dataset.train(group, domain)) for domain in DOMAINS}
        few, least = (FEW_BASE if group == dataset.base else FEW_NEW), min(counts.values())
        if least < few:
            what = "the base group" if group == dataset.base else "a group"
            yield Finding(
                f"{group} has {counts['a']} source and {counts['b']} target images to train on; {what} should have at "
                f"least {few} of each.",
                "Add images, or try --augment ada; see docs/small-data.md.",
            )
        if max(counts.values()) > LOPSIDED * least and group == dataset.base:
            yield Finding(
                f"{group} is unbalanced: {counts['a']} source and {counts['b']} target images.",
                "Discriminators memorise the smaller side. Add to it, or use --augment ada.",
            )
        if not (dataset.test(group, "a") and dataset.test(group, "b")):
            yield Finding(
                f"{group} has no held-out images of both domains.",
                "Nothing can be scored without them. Move a tenth of its images to testA and testB.",
            )


def _small(images: Sequence[Seen], size: int) -> Iterator[Finding]:
    for part, some in _parts(images):
        small = [image for image in some if min(image.size) < size]
        if small:
            least = min(small, key=lambda image: min(image.size))
            yield Finding(
                f"{len(small)} of {len(some)} images of {part} {is_or_are(len(small))} smaller than --size {size}; the "
                f"smallest is {least.path}, {_by(least.size)}.",
                "They would be enlarged and blurred. Remove them" + _smaller(some, size),
            )


def _long(images: Sequence[Seen]) -> Iterator[Finding]:
    long = [image for image in images if max(image.size) > LONG * min(image.size)]
    if long:
        most = max(long, key=lambda image: max(image.size) / min(image.size))
        yield Finding(
            f"{len(long)} of {len(images)} images {is_or_are(len(long))} over {LONG:g} times as long as wide, such as "
            f"{most.path}, {_by(most.size)}.",
            "Training sees a square of each, at random. Crop them to what matters.",
        )


def _grey_ones(images: Sequence[Seen]) -> Iterator[Finding]:
    for domain in DOMAINS:
        some = [image for image in images if image.domain == domain and not image.held_out]
        grey = [image for image in some if image.grey]
        if 0 < len(grey) < len(some):
            yield Finding(
                f"{len(grey)} of {len(some)} training images of domain {domain} {is_or_are(len(grey))} greyscale, such "
                f"as {grey[0].path}.",
                "The model would learn to drop colours now and then. Remove them, or make all of them greyscale.",
            )


def _parts(images: Sequence[Seen]) -> Iterator[tuple[str, list[Seen]]]:
    yield from ((part, list(some)) for part, some in groupby(images, lambda image: image.part))


def _smaller(images: Sequence[Seen], size: int) -> str:
    """Suggest a smaller size, a multiple of 16 that nine of ten images reach, if there is one."""
    sides = sorted(min(image.size) for image in images)
    fitting = max(16, sides[len(sides) // 10] // 16 * 16)
    return f", or train at --size {fitting}." if fitting < size else "."


def _images(pairs: Sequence[tuple[Seen, Seen]]) -> str:
    count = len({one.path for pair in pairs for one in pair[1:]})
    return f"{count} image{'s' if count > 1 else ''} {is_or_are(count)}"


def _pair(pair: tuple[Seen, Seen]) -> str:
    return f"{pair[0].path} ({pair[0].part}) and {pair[1].path} ({pair[1].part})"


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} px"


def skipped(root: Path, used: Sequence[Path], suffixes: Sequence[str]) -> list[tuple[str, list[Path]]]:
    """Return the files below a folder that no data set uses, by the reason."""
    known = {path.absolute() for path in used}
    reasons: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.absolute() not in known):
        reasons[_reason(path.relative_to(root), suffixes)].append(path)
    return sorted(reasons.items())


def _reason(path: Path, suffixes: Sequence[str]) -> str:
    if any(part.startswith(".") for part in path.parts):
        return "hidden"
    if path.suffix.lower() not in suffixes:
        return "not an image file of a known kind"
    if path.parent.name in ("trainA", "trainB", "testA", "testB"):
        return "in a folder that is not used"
    return "not directly in trainA, trainB, testA or testB"
