"""What is written in place of a bare translation: the source beside it, and the attention over the source."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from i2i.contracts.branches import routed
from i2i.contracts.domains import Direction
from i2i.errors import ConfigError, DataError
from i2i.images.files import MAX_PIXELS
from i2i.images.pixels import fit_short_side, to_tensor
from i2i.models.model import Model

COLD, WARM, HOT = "#0b1d6f", "#f08a24", "#fff9d6"
"""Colours of no, middling and the most attention."""


@dataclass(frozen=True)
class Sheet:
    """The panels of an image to write, from left to right.

    Attributes:
        source: Show the source.
        heatmap: Show the attention over the source.
    """

    source: bool = False
    heatmap: bool = False

    def check(self, model: Model, direction: Direction) -> None:
        """Raise `ConfigError` if the sheet needs attention, and the model's generator has none."""
        generator = model.components.generator.component
        if self.heatmap and "cam" not in generator.provides:
            raise ConfigError(
                f"The generator '{generator.name}' has no attention to show. Leave out --heatmap, or translate with a "
                "model of the backbones ugatit or photo2cartoon."
            )

    def arrange(self, source: Image.Image, attention: Image.Image | None, translation: Image.Image) -> Image.Image:
        """Return the panels side by side, all of the size of the translation.

        Raises:
            DataError: They would have more than ``MAX_PIXELS``.
        """
        width, height = translation.size
        count = 1 + self.source + (attention is not None)
        if count * width * height > MAX_PIXELS:
            raise DataError(
                f"{count} panels of {width} x {height} pixels side by side have more than {MAX_PIXELS}. Make it "
                "smaller, or leave out --side-by-side or --heatmap."
            )
        heated = [] if attention is None else [heat(source, attention)]
        panels = [*([source] if self.source else []), *heated, translation]
        sheet = Image.new("RGB", (width * len(panels), height))
        for number, panel in enumerate(panels):
            sheet.paste(panel, (number * width, 0))
        return sheet


@torch.inference_mode()
def attention_of(model: Model, image: Image.Image, group: str | None, direction: Direction) -> Image.Image:
    """Return how much the generator attends to each part of an image at the training size, as grey values.

    The class-activation map of U-GAT-IT (arXiv 1907.10830, section 2.1.1), stretched from black to white.
    """
    network = model.backbone.generator(direction)
    x = to_tensor(fit_short_side(image, model.size, model.max_pixels))[None].to(model.device)
    side = [model.size, model.size] if network.fixed_size else [_up(n, network.multiple_of) for n in x.shape[-2:]]
    with routed(None if group is None else (group,)):
        heatmap: Tensor = network(F.interpolate(x, side, mode="bilinear")).heatmap
    grey = heatmap[0, 0].float()
    grey = (grey - grey.min()) / (grey.max() - grey.min()).clamp_min(1e-8) * 255
    return Image.fromarray(grey.round().to(torch.uint8).cpu().numpy())


def heat(source: Image.Image, attention: Image.Image) -> Image.Image:
    """Return the source in grey, tinted from cold to hot by attention."""
    warmth = ImageOps.colorize(attention.resize(source.size, Image.Resampling.BICUBIC), COLD, HOT, WARM)
    return Image.blend(source.convert("L").convert("RGB"), warmth, 0.55)


def _up(length: int, multiple_of: int) -> int:
    return -(-length // multiple_of) * multiple_of
