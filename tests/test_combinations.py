"""Combinations of all registered parts, also of other people's plugins: every pair, or with -m full all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from i2i import Backbone, Discriminator, Generator, Transfer
from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.testing import SIZE, Noise
from tests.sampling import sampled
from tests.trainings import training_on
from tests.wording import refused

GROUPS = ("woman", "man", "kid")
JUDGES = ("branched", "classification")
INSTALLED = Registry()


class Combination(NamedTuple):
    """One part of each kind, by name; a transfer with a choice of judges is named ``transfer:judge``."""

    backbone: str
    generator: str
    discriminator: str
    transfer: str

    @property
    def fits(self) -> bool:
        """Whether the generator provides what the backbone requires."""
        return INSTALLED.get(Backbone, self.backbone).requires <= INSTALLED.get(Generator, self.generator).provides

    @property
    def pairs(self) -> set[tuple[tuple[str, str], ...]]:
        """All pairs of the parts, with their kinds."""
        return set(combinations(self._asdict().items(), 2))

    @property
    def given(self) -> dict[str, Any]:
        """The configuration with these parts."""
        transfer, _, judge = self.transfer.partition(":")
        random = {"weights": "random"} if self.discriminator == "timm" else {}
        given = {
            "backbone": {"name": self.backbone},
            "generator": {"name": self.generator},
            "discriminator": {"name": self.discriminator, **random},
            "transfer": {"name": transfer, **({"judge": judge} if judge else {})},
        }
        lacks_cam = "cam" not in INSTALLED.get(Generator, self.generator).provides
        asks_for_cam = "cam" in INSTALLED.get(Backbone, self.backbone).objective
        return given | ({"loss": {"cam": 0}} if lacks_cam and asks_for_cam else {})


def covering(candidates: Sequence[Combination]) -> list[Combination]:
    """Choose combinations that cover every pair of parts in the candidates.

    Greedy: always choose the first candidate with the most new pairs, so that the choice is deterministic.
    """
    pairs = {candidate: candidate.pairs for candidate in candidates}
    missing = set().union(*pairs.values())
    chosen: list[Combination] = []
    while missing:
        chosen.append(max(candidates, key=lambda candidate: len(pairs[candidate] & missing)))
        missing -= pairs[chosen[-1]]
    return chosen


TRANSFERS = [
    f"{name}:{judge}" if judge else name
    for name in INSTALLED.names(Transfer)
    for judge in (JUDGES if name == "branch" else ("",))
]
PARTS = (*(INSTALLED.names(contract) for contract in (Backbone, Generator, Discriminator)), TRANSFERS)
ALL = [combination for combination in map(Combination._make, product(*PARTS)) if combination.fits]
SAMPLE = covering(ALL)
REST = [pytest.param(combination, marks=pytest.mark.full) for combination in ALL if combination not in SAMPLE]


@pytest.fixture
def data(tmp_path) -> Noise:
    return Noise(tmp_path, GROUPS)


def test_the_sample_covers_every_pair_with_far_fewer_combinations() -> None:
    most, second = sorted(map(len, PARTS), reverse=True)[:2]

    assert len(ALL) > 10 * len(SAMPLE)
    assert len(SAMPLE) >= most * second  # fewer cannot have all pairs of the two kinds with most parts
    for one, other in combinations(range(len(PARTS)), 2):
        assert {(parts[one], parts[other]) for parts in SAMPLE} == {(parts[one], parts[other]) for parts in ALL}
    assert covering(ALL) == SAMPLE


@pytest.mark.parametrize("parts", [*SAMPLE, *REST], ids="-".join)
def test_parts_work_together(data, parts) -> None:
    model = trained(data, parts.given, GROUPS[1:], steps=1)

    images = [model.translate(torch.zeros(1, 3, SIZE, SIZE), group) for group in model.groups]
    assert len(images) == len(GROUPS)
    assert all(image.shape == (1, 3, SIZE, SIZE) and image.isfinite().all() for image in images)


@pytest.mark.parametrize("judge", ["branched", "classification", "projection"])
@pytest.mark.parametrize("backbone", sampled("cyclegan", *sorted({*INSTALLED.names(Backbone)} - {"cyclegan"})))
def test_joined_discriminators_work_in_every_backbone(data, backbone, judge) -> None:
    discriminator = {"name": "timm+patch+patch/2", "timm": {"weights": "random", "network": "test_resnet"}}
    transfer = {"name": "branch", "judge": judge} | ({"judge_depth": 1} if judge == "branched" else {})
    given = {"backbone": {"name": backbone}, "discriminator": discriminator, "transfer": transfer}
    model = trained(data, given, GROUPS[1:], steps=1)
    learned = {key for key, _ in model.backbone.discriminators["b"].named_parameters() if ".branches.kid" in key}
    assert bool(learned) == (judge != "classification")


def test_a_generator_without_what_the_backbone_requires_is_refused() -> None:
    assert not Combination("unit", "resnet", "patch", "none").fits
    with refused(ConfigError, "unit", "latent", "resnet"):
        resolve({"backbone": {"name": "unit"}, "generator": {"name": "resnet"}}, INSTALLED)


def trained(data: Noise, given: dict[str, Any], groups: tuple[str, ...], steps: int) -> Model:
    """Build the smallest model, adapt it, and take steps; the losses must be finite and something must change."""
    seed_everything(0)
    chosen = resolve(merge({"size": SIZE, "batch_size": 2, "backbone": {"channels": 4}}, given), INSTALLED)
    model = Model(chosen, data.base, groups)
    training = training_on(data, model)
    before = {name: tensor.clone() for name, tensor in model.backbone.generators.named_parameters()}
    reports = [training.step() for _ in range(steps)]
    assert np.isfinite([value for report in reports for value in report.values()]).all()
    assert any(not torch.equal(before[name], now) for name, now in model.backbone.generators.named_parameters())
    return model
