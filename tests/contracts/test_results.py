"""What a network returns is checked, and named if it is wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.contracts.discriminator import Verdict
from i2i.contracts.generator import Translation
from i2i.contracts.results import checked_translation, checked_verdict
from i2i.errors import PluginError
from tests.wording import refused

X = torch.zeros(2, 3, 8, 8)


class Odd(nn.Module):
    name = "odd"


def test_what_is_right_is_returned() -> None:
    translation, verdict = Translation(X.bfloat16()), Verdict([torch.zeros(2, 1, 4, 4)])
    assert checked_translation(translation, X, Odd()) is translation
    assert checked_verdict(verdict, X, Odd()) is verdict


@pytest.mark.parametrize(
    "wrong",
    [None, X, Translation(X[:1]), Translation(X[..., :4]), Translation(X.int()), Translation("image")],  # type: ignore[arg-type]
    ids=["nothing", "tensor", "one", "half", "integers", "word"],
)
def test_a_translation_that_is_none(wrong: object) -> None:
    with refused(PluginError, "odd", "generator"):
        checked_translation(wrong, X, Odd())


@pytest.mark.parametrize(
    "wrong",
    [None, X, Verdict([]), Verdict(X), Verdict([X[:1]]), Verdict([X.mean()]), Verdict([X.int()]), Verdict(["real"])],  # type: ignore[arg-type,list-item]
    ids=["nothing", "tensor", "empty", "no list", "one", "scalar", "integers", "word"],
)
def test_a_verdict_that_is_none(wrong: object) -> None:
    with refused(PluginError, "odd", "discriminator"):
        checked_verdict(wrong, X, Odd())
