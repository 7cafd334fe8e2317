"""The convolutions of VGG16 and AlexNet, as plain stacks that return the maps of named layers.

Simonyan & Zisserman 2015 (arXiv 1409.1556), table 1, column D; Krizhevsky 2014 (arXiv 1404.5997), as torchvision has
it. Parameters are named and ordered as torchvision's, ``features.0.weight`` and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from i2i.nn import Conv2d

Named = list[tuple[str, nn.Module]]

VGG16_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Convolutions(nn.Module):
    """A stack of layers that returns the maps of some of them.

    Args:
        stack: Every layer with its name.
        without: Names of layers to skip.

    Attributes:
        names: The names of all layers, from shallow to deep.
        widths: The channels of each layer's map.
    """

    def __init__(self, stack: Named, without: Sequence[str] = ()) -> None:
        super().__init__()
        self.features = nn.Sequential(*(module for _, module in stack))
        self.names = tuple(name for name, _ in stack)
        self.widths = tuple(_widths(self.features))
        self.skipped = frozenset(self.names.index(name) for name in without)

    def forward(self, x: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Map normalised images, ``(N, 3, H, W)``, to one map per layer, each ``(N, C, h, w)``, in order of depth."""
        wanted = {self.names.index(layer) for layer in layers}
        maps = []
        for index, layer in enumerate(self.features[: max(wanted) + 1]):
            x = x if index in self.skipped else layer(x)
            if index in wanted:
                maps.append(x)
        return maps


def vgg16() -> Convolutions:
    """Return VGG16 without its classifier; layers are ``conv1_1``, ``relu1_1``, … ``relu5_3``, ``pool5``.

    The pooling before the last block is skipped, as UNIT's and MUNIT's perceptual losses do.
    """
    return Convolutions(_vgg16(), without=["pool4"])


def alexnet() -> Convolutions:
    """Return AlexNet without its classifier; layers are ``conv1``, ``relu1``, ``pool1``, … ``relu5``, ``pool5``."""
    return Convolutions(_alexnet())


def _vgg16() -> Named:
    stack: Named = []
    inputs = 3
    for block, widths in enumerate(VGG16_WIDTHS, start=1):
        for number, width in enumerate(widths, start=1):
            stack += [(f"conv{block}_{number}", Conv2d(inputs, width, 3, padding=1))]
            stack += [(f"relu{block}_{number}", nn.ReLU())]
            inputs = width
        stack += [(f"pool{block}", nn.MaxPool2d(2))]
    return stack


def _alexnet() -> Named:
    return [
        ("conv1", nn.Conv2d(3, 64, 11, stride=4, padding=2)), ("relu1", nn.ReLU()), ("pool1", nn.MaxPool2d(3, 2)),
        ("conv2", nn.Conv2d(64, 192, 5, padding=2)), ("relu2", nn.ReLU()), ("pool2", nn.MaxPool2d(3, 2)),
        ("conv3", Conv2d(192, 384, 3, padding=1)), ("relu3", nn.ReLU()),
        ("conv4", Conv2d(384, 256, 3, padding=1)), ("relu4", nn.ReLU()),
        ("conv5", Conv2d(256, 256, 3, padding=1)), ("relu5", nn.ReLU()), ("pool5", nn.MaxPool2d(3, 2)),
    ]  # fmt: skip


def _widths(layers: nn.Sequential) -> Iterator[int]:
    width = 3
    for layer in layers:
        width = layer.out_channels if isinstance(layer, nn.Conv2d) else width
        yield width
