"""How discriminators are adapted when groups are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

from einops import rearrange, reduce
from torch import Tensor, nn

from i2i import Branches, ConfigError, Discriminator, GroupHead, Verdict, branch
from i2i_transfer.layers import layers, upper

Judge = Literal["classification", "projection", "branched", "branched+classification", "projection+classification"]


class GroupProjection(nn.Module):
    """A discriminator whose logits depend on the group of an image, by projection.

    The inner product of each part's mean features with a vector per group is added to its logits (Miyato & Koyama
    2018, arXiv 1802.05637, eq. 3). The vectors start at zero, without the original's spectral normalisation, so that
    a trained discriminator initially gives the same logits as before.

    Args:
        judge: The discriminator.
        base: The group used where none is given.
        groups: The new groups.

    Raises:
        ConfigError: The discriminator shows no features.
    """

    def __init__(self, judge: Discriminator, base: str, groups: Sequence[str]) -> None:
        super().__init__()
        if not judge.feature_channels:
            raise ConfigError(
                f"The discriminator '{judge.name}' shows no features (feature_channels is empty) to project on groups. "
                "Choose another --discriminator, or --transfer.judge branched."
            )
        self.judge = judge
        self.name, self.feature_channels = judge.name, judge.feature_channels
        self.vectors = nn.ModuleList(
            Branches(base, {group: _Vector(channels) for group in (base, *groups)})
            for channels in self.feature_channels
        )

    def forward(self, x: Tensor) -> Verdict:
        """Judge each sample of ``x``, ``(N, 3, H, W)``, as a member of its group."""
        verdict = cast(Verdict, self.judge(x))
        parts = zip(verdict.logits, verdict.features, self.vectors, strict=True)
        logits = [logit + _product(feature, vector) for logit, feature, vector in parts]
        return replace(verdict, logits=logits)

    def folded(self) -> nn.Module:
        """Return the discriminator without the groups."""
        return self.judge


def appoint(kind: Judge, judge: Discriminator, base: str, groups: Sequence[str], depth: int | None) -> nn.Module:
    """Return one domain's discriminator, adapted to the groups.

    Args:
        kind: How discriminators treat groups.
        judge: The discriminator before adaptation.
        base: The base group.
        groups: The new groups.
        depth: Number of last layers of every part that each group has its own copy of; None: all.

    Raises:
        ConfigError: The discriminator has no features to classify groups by, or fewer layers than ``depth``.
    """
    adapted: nn.Module = judge
    if "branched" in kind:
        branch(judge, judge.branch_points if depth is None else _last(judge, depth), base, groups)
    if "projection" in kind:
        adapted = GroupProjection(judge, base, groups)
    return GroupHead(cast(Discriminator, adapted), 1 + len(groups)) if "classification" in kind else adapted


def _last(judge: Discriminator, depth: int) -> tuple[str, ...]:
    most = max(map(len, layers(judge)))
    if depth > most:
        raise ConfigError(
            f"The discriminator '{judge.name}' has {most} layers, so that no group can have {depth} of its own. "
            f"Set --transfer.judge_depth to {most} or less, or leave it out for all."
        )
    return upper(judge, depth)


def _product(feature: Tensor, vector: nn.Module) -> Tensor:
    products: Tensor = vector(reduce(feature, "n c h w -> n c", "mean"))
    return rearrange(products, "n 1 -> n 1 1 1")


class _Vector(nn.Linear):
    def __init__(self, channels: int) -> None:
        super().__init__(channels, 1, bias=False)
        nn.init.zeros_(self.weight)
