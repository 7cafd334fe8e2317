"""dlib's face recognition network, and the reader of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from i2i.errors import WeightsError
from i2i_features.dlib_face import DlibResNet, read_dlib
from tests.plugins.i2i_features.conftest import CPU, PRETRAINED, noise
from tests.wording import refused

LEVELS = ((32, 32, 3), (64, 32, 4), (128, 64, 3), (256, 128, 3), (256, 256, 1))
WIDTHS = [(32, 3, 7)] + [
    (width, inputs if number == 0 else width, 3) for width, inputs, blocks in LEVELS for number in range(2 * blocks)
]
"""Outputs, inputs and side of every convolution."""


def integer(value: int) -> bytes:
    size = (value.bit_length() + 7) // 8 or 1
    return bytes([size]) + value.to_bytes(size, "little")


def tensor(values: np.ndarray, *sides: int) -> bytes:
    return b"".join(map(integer, (2, *sides))) + values.astype("<f4").tobytes()


def layer(name: str, body: bytes) -> bytes:
    return integer(len(name)) + name.encode() + body + bytes([1, 2, 1, 0] * 8)


def written() -> tuple[bytes, list[np.ndarray]]:
    """Return a file of random parameters, and these: weight, bias, factor, offset of every convolution, and fc."""
    rng = np.random.default_rng(0)
    data, parameters = bytes([1, 1]) + layer("loss_metric_2", b"") + layer("input_rgb_image_sized", b""), []
    for outputs, inputs, side in WIDTHS:
        weight = rng.standard_normal((outputs, inputs, side, side), np.float32) / side / inputs**0.5
        bias, factor, offset = rng.standard_normal((3, outputs), np.float32)
        count = weight.size + outputs
        data += layer("con_4", tensor(np.concatenate([weight.ravel(), bias]), count, 1, 1, 1))
        data += layer("affine_", tensor(np.concatenate([factor, offset]), 2 * outputs, 1, 1, 1))
        parameters += [weight, bias, factor, offset]
    last = rng.standard_normal((256, 128), np.float32)
    return data + layer("fc_2", integer(128) + integer(256) + tensor(last, 256, 128, 1, 1)), [*parameters, last]


WRITTEN, PARAMETERS = written()


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "net.dat"


def test_convolutions_are_read_in_order_with_the_affine_maps_behind_them(file) -> None:
    file.write_bytes(WRITTEN)
    network = DlibResNet()
    network.load_state_dict(read_dlib(file))
    weight, bias, factor, offset = map(torch.from_numpy, PARAMETERS[:4])
    x = noise(20)
    expected = F.conv2d(x, weight, bias, stride=2) * factor[:, None, None] + offset[:, None, None]
    torch.testing.assert_close(network.entry(x), expected, atol=1e-5, rtol=1e-5)
    weight, bias, factor, offset = map(torch.from_numpy, PARAMETERS[-5:-1])
    x = torch.randn(1, 256, 4, 4)
    expected = F.conv2d(x, weight, bias, padding=1) * factor[:, None, None] + offset[:, None, None]
    torch.testing.assert_close(network.blocks[-1].second(x), expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(network.exit.weight.T, torch.from_numpy(PARAMETERS[-1]))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", ("con_4",)),
        (WRITTEN[:-200], ()),
        (WRITTEN.replace(b"\x04fc_2", b"\x04fc_1"), ("fc_2",)),
        (layer("con_4", tensor(np.ones(5), 5, 1, 1, 1)), ("con_4", 5, 4736)),
        (layer("con_4", bytes([0x82, 1, 1])), ()),
    ],
)
def test_another_file(file, data, named) -> None:
    file.write_bytes(data)
    with refused(WeightsError, file, *named):
        read_dlib(file)


def test_maps_of_different_sizes_are_added_over_zeros() -> None:
    block = DlibResNet().blocks[3]  # 32 to 64 channels, and half the size
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.arange(32 * 16.0).reshape(1, 32, 4, 4)
    y = block(x)  # pooling leaves 2x2, the convolution 1x1
    assert y.shape == (1, 64, 2, 2)
    assert y[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert not y[0, 32:].any()


def test_features_are_dlibs(needs) -> None:
    needs("dlib")
    along = torch.arange(150)
    ramp = torch.stack([along.expand(150, 150), along[:, None].expand(150, 150), (along + along[:, None]) // 2])
    features = PRETRAINED.features("dlib:whole", None, CPU)(ramp[None] / 127.5 - 1)
    # What dlib 20.0.1 computes of these pixels; over 50 images no feature of ours was 4e-7 off.
    expected = [-0.054913, 0.122001, 0.063602, 0.006221, -0.060127, -0.047081, -0.083360, -0.004601]
    torch.testing.assert_close(features[0, :8], torch.tensor(expected), atol=2e-6, rtol=0)


def test_number_of_parameters() -> None:
    with torch.device("meta"):
        network = DlibResNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 5_607_488
    assert network(torch.zeros(2, 3, 150, 150, device="meta")).shape == (2, 128)
