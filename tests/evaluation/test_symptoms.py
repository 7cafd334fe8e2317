"""Each symptom is found where it is put, and in no real drawing or faithful translation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from i2i import Dataset
from i2i.evaluation.symptoms import SYMPTOMS, Look, blobs, checkerboard, copying, figures, inversion, sameness, smears
from i2i.images.files import read_image
from i2i.images.pixels import crop_centre, fit_short_side, to_tensor
from i2i.registry.registry import Registry

SIZE, COUNT = 64, 10
LIMITS = {symptom.name: symptom.limit for symptom in SYMPTOMS}


@pytest.fixture(scope="module")
def emoji(registry: Registry) -> dict[str, Look]:
    """Each group's held-out sources, their true drawings in place of translations, and drawings to learn from."""
    data = registry.get(Dataset, "emoji")(registry.get(Dataset, "emoji").Config())
    return {
        group: Look(
            read([source for source, _ in data.pairs(group)]),
            read([truth for _, truth in data.pairs(group)]),
            read(data.train(group, "b")),
        )
        for group in data.groups
    }


@pytest.fixture(scope="module")
def look(emoji: dict[str, Look]) -> Look:
    return emoji["woman"]


def read(paths) -> Tensor:
    images = (crop_centre(fit_short_side(read_image(path), SIZE), SIZE) for path in paths[:COUNT])
    return torch.stack([to_tensor(image) for image in images])


def translated(look: Look, fake: Tensor) -> Look:
    return Look(look.source, fake.clamp(-1, 1), look.real)


def soft(x: Tensor) -> Tensor:
    """A translation as a young generator makes it: blurred, its colours moved."""
    return F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, 1) * 0.8 + torch.tensor([0.1, 0, -0.1]).view(
        3, 1, 1
    )


def found(look: Look) -> set[str]:
    return {name for name, figure in figures(look).items() if figure >= LIMITS[name]}


@pytest.mark.parametrize("group", ["woman", "man", "kid", "elderly"])
def test_true_drawings_have_no_symptom(emoji, group):
    own = emoji[group]
    assert figures(own).keys() == LIMITS.keys()
    assert found(own) == set()


@pytest.mark.parametrize("group", ["woman", "man", "kid", "elderly"])
def test_drawings_in_another_order_have_no_symptom(emoji, group):
    own = emoji[group]
    count = min(len(own.source), len(own.real))
    assert found(Look(own.source[:count], own.real[:count].flip(0), own.real)) == set()


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_blobs_are_found_at_their_place(look, value):
    fake = soft(look.source)
    assert blobs(translated(look, fake)) < 0.4
    top, left = (12, 24) if value > 0 else (40, 24)  # in the hair, and in the face
    fake[:, :, top : top + 12, left : left + 12] = value
    assert blobs(translated(look, fake)) >= LIMITS["blobs"]


def test_blobs_by_hand():
    source, fake, real = torch.zeros(4, 3, 16, 16), torch.zeros(4, 3, 16, 16), torch.zeros(4, 3, 16, 16)
    fake[:3, :, 2:5, 2:5] = 1.0  # three of four translations; the side that counts is 3 at 16 pixels
    real[0] = 1.0
    assert blobs(Look(source, fake, real)) == pytest.approx(3 / 4 - 1 / 4)
    fake[:3, :, 2, 2] = 0.0  # no solid square is left
    assert blobs(Look(source, fake, real)) == 0.0
    fake[:3, :, 2, 2] = 1.0
    source[0] = 1.0  # as white itself
    assert blobs(Look(source, fake, real)) == pytest.approx(2 / 4 - 1 / 4)
    assert blobs(Look(source[:3], fake[:3], real)) is None


def test_a_negative_is_inverted(look):
    fake = -soft(look.source)
    assert inversion(translated(look, fake)) > 0.8
    assert "inversion" in found(translated(look, fake))
    assert inversion(translated(look, look.source)) == pytest.approx(-1.0)
    assert inversion(translated(look, torch.zeros_like(fake))) == 0.0  # flat is neither


def test_half_a_negative_is_inverted_too(look):
    fake = soft(look.source)
    fake[:7] *= -1
    assert "inversion" in found(translated(look, fake))


@pytest.mark.parametrize("pattern", ["both", "across", "down"])
def test_a_pattern_of_two_pixels_is_a_checkerboard(look, pattern):
    rows, columns = torch.arange(SIZE)[:, None] % 2, torch.arange(SIZE)[None] % 2
    signs = {"both": (rows + columns) % 2, "across": columns.expand(SIZE, SIZE), "down": rows.expand(SIZE, SIZE)}
    fake = soft(look.source)
    assert checkerboard(translated(look, fake)) < 0.3
    assert "checkerboard" in found(Look(look.source, fake + 0.05 * (2.0 * signs[pattern] - 1), look.real))


def test_transposed_convolutions_leave_a_checkerboard(look):
    small = F.avg_pool2d(soft(look.source), 2)
    kernel = torch.eye(3)[:, :, None, None] * torch.ones(3, 3)  # overlaps unevenly at stride 2
    fake = F.conv_transpose2d(small, kernel, stride=2, padding=1, output_padding=1) / 4
    assert "checkerboard" in found(translated(look, fake))
    assert "checkerboard" not in found(translated(look, F.interpolate(small, scale_factor=2, mode="bilinear")))


def test_white_noise_is_no_checkerboard():
    noise = torch.randn(16, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 0.2
    assert checkerboard(Look(noise, noise, noise)) < 0.3


def test_a_checkerboard_that_nobody_sees_is_none():
    signs = 2.0 * ((torch.arange(SIZE)[:, None] + torch.arange(SIZE)) % 2) - 1
    flat = torch.zeros(4, 3, SIZE, SIZE)
    assert checkerboard(Look(flat, flat + 0.001 * signs, flat)) < 0.1
    assert checkerboard(Look(flat, flat + 0.02 * signs, flat)) > LIMITS["checkerboard"]
    assert checkerboard(Look(flat, flat, flat)) == 0.0


def test_sameness_by_hand():
    source = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 16, 16)
    assert sameness(Look(source, source / 4, source)) == pytest.approx(3 / 4)
    assert sameness(Look(source, source * 0, source)) == 1.0
    assert sameness(Look(source[:1], source[:1], source)) is None
    assert sameness(Look(source * 0, source, source)) is None


def test_identical_outputs_are_found(look):
    fake = soft(look.source).mean(0, keepdim=True) + 0.1 * soft(look.source)
    assert found(translated(look, fake)) == {"sameness", "smears"}  # blurred


def test_copying_by_hand():
    source = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 16, 16)  # 4/3 apart on average
    assert copying(Look(source, source + 1 / 3, source)) == pytest.approx(3 / 4)
    assert copying(Look(source, source, source)) == 1.0
    assert copying(Look(source[:1], source[:1], source)) is None


def test_untouched_sources_are_found(look):
    assert found(translated(look, look.source * 0.97)) == {"copying", "smears"}  # softer than these drawings


def test_every_symptom_says_what_helps():
    for symptom in SYMPTOMS:
        assert "--" in symptom.remedy("base")
        assert symptom.meaning.endswith(".")
    assert len({symptom.name for symptom in SYMPTOMS}) == len(SYMPTOMS)


@pytest.mark.parametrize("group", ["woman", "man", "kid", "elderly"])
def test_blurred_drawings_are_smears_and_drawings_are_not(emoji, group):
    own = emoji[group]
    blurred = F.avg_pool2d(F.pad(own.fake, (1, 1, 1, 1), mode="replicate"), 3, 1)
    assert abs(smears(own)) < 0.15
    assert "smears" in found(Look(own.source, blurred, own.real))


def test_gradual_shading_with_sharp_lines_is_smears(look):
    """As a young generator paints: lines are there, faces are clouds."""
    clouds = 0.25 * torch.sin(torch.arange(SIZE) / 2.5)[:, None] * torch.sin(torch.arange(SIZE) / 3)[None]
    painted = (look.fake * 0.8 + clouds).clamp(-1, 1)
    assert "smears" in found(Look(look.source, painted, look.real))


def test_smears_by_hand():
    flat, edge = torch.zeros(4, 3, 16, 16), torch.zeros(4, 3, 16, 16)
    edge[..., 8:] = 1.0
    ramp = torch.linspace(-1, 1, 16).expand(4, 3, 16, 16)
    assert smears(Look(edge, edge, edge)) == 0.0
    assert smears(Look(edge, flat, edge)) == 1.0  # no contrast at all
    assert smears(Look(edge, 0.9 * edge, edge)) == pytest.approx(0.1, abs=1e-6)  # 1 - 0.9 in single precision
    assert smears(Look(edge, ramp, edge)) == pytest.approx(1.0)  # gradual everywhere
    assert smears(Look(edge, edge, flat)) is None  # drawings without contrast
    assert smears(Look(edge[:3], edge[:3], edge)) is None
