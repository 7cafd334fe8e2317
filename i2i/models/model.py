"""A trained model and everything it needs to translate: networks, options, groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from PIL import Image
from torch import Tensor, nn

from i2i.compute.outlining import without_weights
from i2i.config.options import refuse_unknown_group
from i2i.contracts.backbone import Backbone
from i2i.contracts.branches import has_branches
from i2i.contracts.detector import AUTO, GroupDetector
from i2i.contracts.discriminator import Verdict
from i2i.contracts.domains import DOMAINS, Direction, Domain
from i2i.contracts.pretrained import Pretrained
from i2i.contracts.transfer import Transfer
from i2i.errors import ConfigError, DataError, PluginError
from i2i.images.pixels import LONGEST, fit_short_side, fitted_size, to_image, to_tensor
from i2i.models.components import Components
from i2i.models.frozen import prepare_judges
from i2i.registry.registry import Registry

_REMEDY = "Give i2i.read_image(path), a (H, W, 3) array of uint8, or a float tensor in [-1, 1]."

MOST_AT_ONCE = 2**22
"""Most pixels translated at once at a size of the caller's choice, unless the training size allows more."""

_SLACK = 0.01  # tolerance for rounding and resizing

I = TypeVar("I", Image.Image, "np.ndarray[Any, Any]", Tensor)  # noqa: E741


class Model:
    """A translation model and the groups it serves.

    Args:
        chosen: The components and their options.
        base: The data-rich group.
        groups: The new groups; empty for a base model.
        judges: Build the discriminators; without them, the model only translates.

    Attributes:
        detector: Detects the group of an image for ``group="auto"``. None uses the discriminators' group head, or
            else the only installed detector.
        max_pixels: Most pixels of an image at the size it is translated at, which bounds the memory; None: 16 times
            the training images' area.
    """

    def __init__(self, chosen: Components, base: str, groups: Sequence[str] = (), judges: bool = True) -> None:
        self.components = chosen
        self.detector: GroupDetector | None = None
        self.max_pixels: int | None = None
        self.base = base
        self.new_groups: tuple[str, ...] = ()
        self.backbone: Backbone = chosen.build_backbone(judges)
        self._unread: Callable[[], nn.ModuleDict] | None = None
        self.transfer: Transfer | None = None
        if groups:
            self.adapt(chosen, groups)

    @property
    def groups(self) -> tuple[str, ...]:
        """All groups the model serves, base group first."""
        return (self.base, *self.new_groups)

    @property
    def size(self) -> int:
        """Side of the training images in pixels."""
        return self.components.config.size

    @property
    def device(self) -> torch.device:
        """The device that holds the weights."""
        return next(self.backbone.parameters()).device

    def adapt(self, chosen: Components, groups: Sequence[str]) -> Transfer:
        """Adapt the model to new groups with the transfer in ``chosen``, and return it."""
        self.components, self.new_groups = chosen, tuple(groups)
        self.transfer = chosen.transfer.build(self.base, self.new_groups)
        self.transfer.adapt(self.backbone)
        return self.transfer

    def prepare(self, pretrained: Pretrained) -> None:
        """Load pretrained discriminator weights before training from scratch.

        Raises:
            WeightsError: Weights named in the options are missing, damaged, or from another network.
        """
        prepare_judges(self.backbone.discriminators, pretrained)

    def leave_judges(self, read: Callable[[], nn.ModuleDict]) -> None:
        """Put placeholders for discriminators that are not built; `read_judges` gets them by calling ``read``."""
        self._unread = read
        for domain in DOMAINS:
            self.backbone.discriminators[domain] = Unread()

    def read_judges(self) -> None:
        """Read the discriminators if they are still in the model's file."""
        if self._unread is not None:
            judges = self._unread().to(self.device).train(self.backbone.training)
            self.backbone.discriminators = judges
            self._unread = None

    def translate(self, image: I, group: str | None = None, direction: Direction = "a2b", size: int | None = None) -> I:
        """Translate an image or a batch as a member of ``group``.

        Images are resized so that the shorter side has ``size`` pixels, translated, and resized back.

        Args:
            image: A PIL image; a ``(H, W, 3)`` array of 8-bit values; or a ``(3, H, W)`` or ``(N, 3, H, W)`` tensor
                in [-1, 1].
            group: One of ``groups``; None is the base group; ``"auto"`` detects the group of each image, see `detect`.
            direction: ``a2b`` or ``b2a``.
            size: The shorter side to translate at; None is the side of the training images. Larger sizes are sharper,
                and differ the more from what the model learned.

        Returns:
            The translation, with the type, height and width of ``image``.

        Raises:
            ConfigError: The group or direction does not exist, ``"auto"`` has no way to detect groups, or the generator
                takes no other ``size``.
            DataError: ``image`` is not an image, has the wrong shape or type, or more pixels than ``max_pixels``.
        """
        self.check_group(group)
        if direction not in self.backbone.generators:
            raise ConfigError(f"There is no direction '{direction}'. Use a2b or b2a.")
        self.check_size(size, direction)
        if isinstance(image, Image.Image):
            return self._translate_image(image, group, direction, size)
        if isinstance(image, np.ndarray):
            return np.asarray(self._translate_image(_image_of(image), group, direction, size))
        if isinstance(image, Tensor):
            return self._translate_tensor(image, group, direction, size)
        raise DataError(f"A {type(image).__name__} is not an image. {_REMEDY}")

    def check_group(self, group: str | None) -> None:
        """Raise `ConfigError`, suggesting the nearest name, if the model does not serve ``group``."""
        if group not in (None, AUTO):
            refuse_unknown_group(group, self.groups)

    def check_size(self, size: int | None, direction: Direction = "a2b", any_size: bool = False) -> None:
        """Raise `ConfigError` if the generator of a direction cannot translate at ``size``, or at any size."""
        if (any_size or size not in (None, self.size)) and self.backbone.generator(direction).fixed_size:
            raise ConfigError(
                f"This model's generator takes images of {self.size} x {self.size} px only (--backbone.no-light), so "
                f"it translates at no other size and not in tiles. Leave out --size and --tiles."
            )

    def pixel_limit(self, size: int | None = None) -> int | None:
        """Return the most pixels to translate at once at a size; None leaves that to the image's shape."""
        if self.max_pixels is not None or size is None:
            return self.max_pixels
        return max(MOST_AT_ONCE, LONGEST * self.size**2)

    def detect(self, image: Image.Image | Tensor, direction: Direction = "a2b") -> tuple[str, ...]:
        """Return the group that ``translate(image, "auto")`` would use for an image, or for each image of a batch.

        Args:
            image: A PIL image, or a tensor ``(3, H, W)`` or ``(N, 3, H, W)`` in [-1, 1].
            direction: The direction of the translation; the discriminator of the source domain decides.

        Raises:
            ConfigError: The model has no group head, and there is no detector, or more than one.
            PluginError: The detector returned a group the model does not have.
        """
        x = to_tensor(self.reduced(image)) if isinstance(image, Image.Image) else image
        batch = x if x.ndim == 4 else x[None]
        return self._detect(_resize(batch, self._fitted(batch, None)), direction)

    def _fitted(self, batch: Tensor, size: int | None) -> list[int]:
        """Return the height and width after resizing the shorter side to ``size``, or else the training size."""
        height, width = batch.shape[-2:]
        return list(fitted_size(width, height, size or self.size, self.pixel_limit(size)))[::-1]

    def reduced(self, image: Image.Image, size: int | None = None) -> Image.Image:
        """Return an image at the size that it is translated at, see `translate`."""
        return fit_short_side(image, size or self.size, self.pixel_limit(size))

    def _translate_image(
        self, image: Image.Image, group: str | None, direction: Direction, size: int | None
    ) -> Image.Image:
        small = self.reduced(image.convert("RGB"), size)
        result = to_image(self._run(to_tensor(small)[None], group, direction)[0])
        return result.resize(image.size, Image.Resampling.BICUBIC) if result.size != image.size else result

    def _translate_tensor(self, x: Tensor, group: str | None, direction: Direction, size: int | None) -> Tensor:
        if x.ndim not in (3, 4) or x.shape[-3] != 3:
            raise DataError(f"An image tensor is (3, H, W) or (N, 3, H, W), not {tuple(x.shape)}.")
        if not x.is_floating_point() or not x.numel():
            raise DataError(f"A tensor {tuple(x.shape)} of {x.dtype} does not hold an image. {_REMEDY}")
        if not x.abs().max() <= 1 + _SLACK:
            raise DataError(f"An image tensor holds values in [-1, 1], not {x.min():.3g} to {x.max():.3g}. Scale it.")
        batch = x if x.ndim == 4 else x[None]
        small = _resize(batch, self._fitted(batch, size))
        result = _resize(self._run(small, group, direction), list(batch.shape[-2:]))
        return result if x.ndim == 4 else result[0]

    @torch.no_grad()
    def _run(self, x: Tensor, group: str | None, direction: Direction) -> Tensor:
        """Translate ``x``, ``(N, 3, h, w)``, padded to a size the generator accepts."""
        if group == AUTO:
            groups = self.detect(x, direction)
            return torch.cat([self._run(one[None], name, direction) for one, name in zip(x, groups, strict=True)])
        network = self.backbone.generator(direction)
        height, width = x.shape[-2:]
        if network.fixed_size:
            return _resize(self._call(_resize(x, [self.size, self.size]), group, direction), [height, width])
        right, below = (-side % network.multiple_of for side in (width, height))
        padded = F.pad(x, (0, right, 0, below), mode="replicate")
        return self._call(padded, group, direction)[..., :height, :width]

    def _call(self, x: Tensor, group: str | None, direction: Direction) -> Tensor:
        with evaluating(self.backbone):
            return self.backbone.translate(x.to(self.device), direction, group).float().cpu()

    @torch.no_grad()
    def _detect(self, x: Tensor, direction: Direction) -> tuple[str, ...]:
        """Return the group of each image of ``x``, ``(N, 3, h, w)``, from its centre square."""
        top, left = ((side - self.size) // 2 for side in x.shape[-2:])
        square = x[..., top : top + self.size, left : left + self.size]
        if self.detector is None:
            self.read_judges()
            with evaluating(self.backbone):
                scores = self._group_scores(square.to(self.device), "a" if direction == "a2b" else "b")
            if scores is not None:
                return tuple(self.groups[index] for index in scores.argmax(1).tolist())
            self.detector = _only_detector(self.components.registry, self.groups)
        return tuple(_detected(self.detector, image, self.groups) for image in square)

    def _group_scores(self, x: Tensor, domain: Domain) -> Tensor | None:
        """Return the group head's logits, ``(N, groups)``, averaged over parts; None without a head.

        With branches in the discriminators, each group's logit comes from its branch.
        """
        if not has_branches(self.backbone.discriminators[domain]):
            return _mean_logits(self.backbone.verdict(domain, x, (self.base,) * len(x)))
        columns = [_mean_logits(self.backbone.verdict(domain, x, (group,) * len(x))) for group in self.groups]
        logits = [column[:, index] for index, column in enumerate(columns) if column is not None]
        return rearrange(logits, "group n -> n group") if logits else None


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Switch a network to eval mode for the block, then restore its mode."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        if was_training:
            network.train()


class Unread(nn.Module):
    """Placeholder for a discriminator that is still in the model's file."""

    def forward(self, x: Tensor) -> Verdict:
        """Raise `ConfigError`."""
        raise ConfigError("The model was loaded without its discriminators. Load it by i2i.load(path, judges=True).")


def outline(chosen: Components, base: str, groups: Sequence[str] = (), judges: bool = True) -> Model:
    """Build a model without allocating its weights, to check that its parts fit and to get their names and shapes.

    Without ``judges`` it has no discriminators.

    Raises:
        ConfigError: The parts do not fit.
    """
    try:
        with without_weights():
            return Model(chosen, base, groups, judges)
    except RuntimeError:  # from a network that needs real weights
        return Model(chosen, base, groups, judges)


def _resize(x: Tensor, size: list[int]) -> Tensor:
    if list(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size, mode="bicubic", antialias=True).clamp(-1, 1)


def _image_of(array: np.ndarray[Any, Any]) -> Image.Image:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise DataError(f"An image array is (H, W, 3) of uint8, not {array.shape} of {array.dtype}. {_REMEDY}")
    return Image.fromarray(array)


def _mean_logits(verdict: Verdict) -> Tensor | None:
    """Return group logits, ``(N, groups)``, averaged over the parts of a discriminator."""
    parts = [logits.float() for logits in verdict.group_logits]
    return reduce(parts, "part n group -> n group", "mean") if parts else None


def _only_detector(registry: Registry, groups: Sequence[str]) -> GroupDetector:
    names = registry.names(GroupDetector)
    if len(names) == 1:
        return registry.get(GroupDetector, names[0])()
    if names:
        raise ConfigError(f"Several plugins detect groups: {', '.join(names)}. Choose one: --detector {names[0]}.")
    raise ConfigError(
        "Nothing can detect the group of an image: the model has no group head (--transfer.judge classification), and "
        f"no plugin provides a detector. Name a group: {', '.join(groups)}."
    )


def _detected(detector: GroupDetector, image: Tensor, groups: Sequence[str]) -> str:
    group = detector.detect(image, groups)
    if group not in groups:
        raise PluginError(
            f"The detector '{detector.name}' returned '{group}', which is not one of {', '.join(groups)}."
        )
    return group
