"""The loss terms of the shipped backbones. Each returns one value per sample, summed over both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from einops import reduce
from pydantic import Field
from torch import Tensor

from i2i import DOMAINS, Loss, Passes, Verdict

Mode = Literal["lsgan", "hinge", "nonsaturating"]
Criterion = Callable[[Tensor], Tensor]

# The criterion of each mode: for real images and for fakes on the discriminators' side, for fakes on the generators'.
_REAL: dict[str, Criterion] = {
    "lsgan": lambda logits: (logits - 1).square(),
    "hinge": lambda logits: F.relu(1 - logits),
    "nonsaturating": lambda logits: F.softplus(-logits),
}
_FAKE: dict[str, Criterion] = {
    "lsgan": torch.square,
    "hinge": lambda logits: F.relu(1 + logits),
    "nonsaturating": F.softplus,
}
_FOOL: dict[str, Criterion] = _REAL | {"hinge": torch.neg}
# The error of group logits, (N, groups), against one-hot targets.
_GROUP_ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": lambda logits, targets: reduce((logits - targets).square(), "n groups -> n", "mean"),
    "cross_entropy": lambda logits, targets: F.cross_entropy(logits, targets, reduction="none"),
}


class Adversarial(Loss):
    """Generators against discriminators, on patch logits, and on CAM logits if the discriminators have any.

    Sources: LSGAN (Mao et al. 2017, eq. 9 with a=0, b=c=1), hinge (Lim & Ye 2017), non-saturating (Goodfellow et al.
    2014), R1 penalty (Mescheder et al. 2018, arXiv 1801.04406, eq. 9). Parts and scales of one discriminator are
    summed, as in U-GAT-IT and UNIT.
    """

    name = "adversarial"
    needs = frozenset({"fake", "verdict"})

    class Config(Loss.Config):
        """Options of the adversarial term."""

        mode: Mode = Field("lsgan", description="The adversarial objective.")
        discriminator_weight: float = Field(1.0, ge=0, description="Factor on the discriminators' side, except for R1.")
        r1: float = Field(0.0, ge=0, description="Weight of the R1 gradient penalty on real images; 0 turns it off.")

    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.boundary = 0.5 if config.mode == "lsgan" else 0.0
        if config.r1:
            self.needs = self.needs | {"gradient"}

    def generator(self, passes: Passes) -> Tensor:
        """Return how far the fakes are from passing as real, ``(N,)``."""
        return _total(_judge(passes.fake_verdict[domain], _FOOL[self.config.mode]) for domain in DOMAINS)

    def discriminator(self, passes: Passes) -> Tensor:
        """Return how badly real and fake are distinguished, ``(N,)``."""
        real = _total(_judge(passes.real_verdict[domain], _REAL[self.config.mode]) for domain in DOMAINS)
        fake = _total(_judge(passes.fake_verdict[domain], _FAKE[self.config.mode]) for domain in DOMAINS)
        loss = (real + fake) * self.config.discriminator_weight
        return loss + self.config.r1 / 2 * _gradient_penalty(passes) if self.config.r1 else loss


class Cycle(Loss):
    """Mean absolute difference after a round trip (Zhu et al. 2017, arXiv 1703.10593, eq. 2)."""

    name = "cycle"
    needs = frozenset({"fake", "cycled"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the round-trip error, ``(N,)``."""
        return _total(_distance(passes.cycled[domain].image, passes.batch.real[domain]) for domain in DOMAINS)


class Identity(Loss):
    """Mean absolute change of an image that is already in the target domain (Zhu et al. 2017, section 5.2)."""

    name = "identity"
    needs = frozenset({"identity"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the change, ``(N,)``."""
        return _total(_distance(passes.identity[domain].image, passes.batch.real[domain]) for domain in DOMAINS)


class Cam(Loss):
    """The generators' attention separates source from target (U-GAT-IT, Kim et al. 2020, arXiv 1907.10830, eq. 5)."""

    name = "cam"
    needs = frozenset({"fake", "identity", "cam"})

    def generator(self, passes: Passes) -> Tensor:
        """Return the binary cross-entropy of the CAM logits, ``(N,)``."""
        return _total(
            _cross_entropy(passes.fake[domain].cam_logits, 1.0)
            + _cross_entropy(passes.identity[domain].cam_logits, 0.0)
            for domain in DOMAINS
        )


class GroupClassification(Loss):
    """Group classification by the discriminators' group heads, with squared error or cross-entropy to the true group.

    Real images train the heads; fakes train the generators to produce images that are classified as their group
    (Zhuang & Yang, arXiv 2007.13332, and its released code: a sum over heads for the discriminators, a mean for the
    generators).
    """

    name = "group"
    needs = frozenset({"fake", "verdict", "group"})

    class Config(Loss.Config):
        """Options of group classification."""

        mode: Literal["mse", "cross_entropy"] = Field(
            "mse", description="Squared error, as in the released code, or cross-entropy."
        )

    config: Config

    def generator(self, passes: Passes) -> Tensor:
        """Return the classification error of the fakes, ``(N,)``, averaged over heads."""
        errors = list(self._errors(passes, [passes.fake_verdict[domain] for domain in DOMAINS]))
        return _total(errors) / len(errors)

    def discriminator(self, passes: Passes) -> Tensor:
        """Return the classification error of the real images, ``(N,)``, summed over heads."""
        return _total(self._errors(passes, [passes.real_verdict[domain] for domain in DOMAINS]))

    def _errors(self, passes: Passes, verdicts: list[Verdict]) -> Iterable[Tensor]:
        targets = passes.group_targets
        criterion = _GROUP_ERRORS[self.config.mode]
        return (criterion(logits, targets) for verdict in verdicts for logits in verdict.group_logits)


def _judge(verdict: Verdict, criterion: Criterion) -> Tensor:
    terms = [reduce(criterion(logits), "n ... -> n", "mean") for logits in verdict.logits + verdict.cam_logits]
    if not verdict.weights:
        return _total(terms)
    return _total(weight * term for weight, term in zip(verdict.weights, terms, strict=True))


def _gradient_penalty(passes: Passes) -> Tensor:
    """Return the squared norm of the verdicts' gradient at each real image, ``(N,)``; patches are averaged first."""
    images = [passes.judged[domain] for domain in DOMAINS]
    logits = [logits for domain in DOMAINS for logits in passes.real_verdict[domain].logits]
    verdicts = (reduce(part, "n ... -> n", "mean") for part in logits)
    gradients = torch.autograd.grad(_total(verdicts).sum(), images, create_graph=True)
    return _total(reduce(gradient.square(), "n c h w -> n", "sum") for gradient in gradients)


def _distance(x: Tensor, y: Tensor) -> Tensor:
    return reduce((x - y).abs(), "n c h w -> n", "mean")


def _cross_entropy(logits: Tensor | None, label: float) -> Tensor:
    if logits is None:
        raise TypeError("The generator returned no CAM logits.")
    target = torch.full_like(logits, label)
    return reduce(F.binary_cross_entropy_with_logits(logits, target, reduction="none"), "n heads -> n", "mean")


def _total(terms: Iterable[Tensor]) -> Tensor:
    first, *rest = terms
    return sum(rest, start=first)
