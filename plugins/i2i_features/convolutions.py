"""The convolutions of VGG16 and AlexNet, as plain stacks that give the maps of named layers.

Simonyan & Zisserman 2015 (arXiv 1409.1556), table 1, column D; Krizhevsky 2014 (arXiv 1404.5997), as torchvision has
it. Parameters are named and ordered as torchvision's, ``features.0.weight`` and so on.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from i2i import ConfigError, did_you_mean

Named = list[tuple[str, nn.Module]]

VGG16_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Convolutions(nn.Module):
    """A stack of layers that returns the maps of some of them.

    Args:
        stack: Every layer with its name.
        layers: Names of the layers whose maps are wanted.
        without: Names of layers that maps are computed without.

    Raises:
        ConfigError: There is no such layer.
    """

    def __init__(self, stack: Named, layers: Sequence[str], without: Sequence[str] = ()) -> None:
        super().__init__()
        self.features = nn.Sequential(*(module for _, module in stack))
        names = [name for name, _ in stack]
        self.layers = [_index(layer, names) for layer in layers]
        self.skipped = [_index(layer, names) for layer in without]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map normalised images, ``(N, 3, H, W)``, to one map a layer, each ``(N, C, h, w)``, in order of depth."""
        maps = []
        for index, layer in enumerate(self.features[: max(self.layers) + 1]):
            x = x if index in self.skipped else layer(x)
            if index in self.layers:
                maps.append(x)
        return maps


def vgg16(layers: Sequence[str], without: Sequence[str] = ()) -> Convolutions:
    """Return VGG16 without its classifier; layers are ``conv1_1``, ``relu1_1``, … ``relu5_3``, ``pool5``."""
    return Convolutions(_vgg16(), layers, without)


def alexnet(layers: Sequence[str]) -> Convolutions:
    """Return AlexNet without its classifier; layers are ``conv1``, ``relu1``, ``pool1``, … ``relu5``, ``pool5``."""
    return Convolutions(_alexnet(), layers)


def _vgg16() -> Named:
    stack: Named = []
    inputs = 3
    for block, widths in enumerate(VGG16_WIDTHS, start=1):
        for number, width in enumerate(widths, start=1):
            stack += [(f"conv{block}_{number}", nn.Conv2d(inputs, width, 3, padding=1))]
            stack += [(f"relu{block}_{number}", nn.ReLU())]
            inputs = width
        stack += [(f"pool{block}", nn.MaxPool2d(2))]
    return stack


def _alexnet() -> Named:
    return [
        ("conv1", nn.Conv2d(3, 64, 11, stride=4, padding=2)), ("relu1", nn.ReLU()), ("pool1", nn.MaxPool2d(3, 2)),
        ("conv2", nn.Conv2d(64, 192, 5, padding=2)), ("relu2", nn.ReLU()), ("pool2", nn.MaxPool2d(3, 2)),
        ("conv3", nn.Conv2d(192, 384, 3, padding=1)), ("relu3", nn.ReLU()),
        ("conv4", nn.Conv2d(384, 256, 3, padding=1)), ("relu4", nn.ReLU()),
        ("conv5", nn.Conv2d(256, 256, 3, padding=1)), ("relu5", nn.ReLU()), ("pool5", nn.MaxPool2d(3, 2)),
    ]  # fmt: skip


def _index(layer: str, names: list[str]) -> int:
    if layer not in names:
        near = did_you_mean(layer, names)
        raise ConfigError(f"The network has no layer '{layer}'.{near} It has: {', '.join(names)}.")
    return names.index(layer)
