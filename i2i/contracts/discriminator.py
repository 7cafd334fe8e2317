"""The discriminator contract: a network that tells real images of one domain from fakes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch.nn.functional as F
from einops import rearrange, reduce
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.utils.parametrize import is_parametrized

from i2i.config.options import Options
from i2i.contracts.lookup import Lookup
from i2i.contracts.pretrained import Pretrained
from i2i.contracts.stochastic import is_stochastic
from i2i.errors import ConfigError
from i2i.nn.spectral import SpectralConv2d


@dataclass
class Verdict:
    """The output of a discriminator for N images; one entry per scale or part.

    Attributes:
        logits: Patch logits, each ``(N, 1, h, w)``; high means real.
        cam_logits: Logits of the class-activation maps, each ``(N, heads)``; empty without a CAM.
        features: The feature maps behind the logits, each ``(N, C, h, w)``.
        group_logits: Group logits, each ``(N, groups)``; empty without a group head.
        weights: Factors on the adversarial terms of ``logits``, then of ``cam_logits``; empty: all 1.
    """

    logits: list[Tensor]
    cam_logits: list[Tensor] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)
    group_logits: list[Tensor] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)


class Discriminator(nn.Module, ABC):
    """A network that tells real images of one domain from fakes; all its scales or parts are one discriminator.

    Attributes:
        name: The name in the registry.
        branch_points: ``fnmatch`` patterns of the submodules that a transfer may copy per group; by default every
            direct child, so the whole discriminator.
        feature_channels: Channels of each map in ``Verdict.features``.
        mixes_samples: True if a sample's verdict depends on the rest of its batch, as with mini-batch statistics;
            real images and fakes then go in separate batches. Torch's batch norms, dropout and spectral norms are
            detected without it.
        stochastic: True if a call in training mode draws random numbers, as of generators.
        pretrained: Paths of the submodules whose weights `prepare` loads and training never changes, such as
            ``("trunk",)``. Slim model files leave them out, and find the same weights again before further training.
            Keep them out of ``branch_points``: copies of them are stored like other weights.
        published_with: Options that the original project's discriminator has a single value of, with that value.
        note: A sentence on an automatic choice, such as the depth for a size, shown before training.
    """

    name: ClassVar[str]
    published_with: ClassVar[Mapping[str, Any]] = {}
    branch_points: tuple[str, ...] = ("*",)
    feature_channels: tuple[int, ...] = ()
    mixes_samples: bool = False
    stochastic: bool = False
    pretrained: tuple[str, ...] = ()
    note: str = ""

    class Config(Options):
        """Options of every discriminator."""

        size: int = Field(256, gt=0, description="Side of the training images in pixels.")
        channels: int = Field(64, gt=0, description="Width of the first layer.")

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, x: Tensor) -> Verdict:
        """Return the verdict on ``x``, ``(N, 3, H, W)`` in [-1, 1]."""

    def assemble(self, lookup: Lookup) -> None:
        """Build parts that are components, such as a feature network; called once, after construction.

        Override `renewed` as well.

        Raises:
            UnknownComponentError: No plugin provides a part.
        """

    def renewed(self) -> Self:
        """Return a discriminator like this one that has learned nothing; what is pretrained in it stays as it is."""
        return type(self)(self.config)

    def prepare(self, pretrained: Pretrained) -> None:
        """Load pretrained weights, once, before training; on the meta device, only look for them.

        Not called when a saved model is loaded, unless its file leaves out what is in ``pretrained``.

        Raises:
            WeightsError: The weights named in the options are missing, damaged, or for another network.
        """

    def published_keys(self) -> dict[str, str]:
        """Return state dict key to the original project's key, with ``published_with``; {} if there is no project."""
        return {}

    @classmethod
    def published_options(cls, state: Mapping[str, Tensor], whose: str) -> dict[str, Any]:
        """Return the options implied by the shapes in a published state dict, or a part of it; {} if none.

        Args:
            state: The published state dict.
            whose: Its name for messages.

        Raises:
            CheckpointError: A layer needed to infer an option is missing.
        """
        return {}


class GroupHead(nn.Module):
    """A discriminator with a head that classifies an image's group.

    The head is a spectrally normalised 1x1 convolution of each feature map's global average. As in the released code of
    Zhuang & Yang (arXiv 2007.13332), the map is first padded by one reflected pixel.

    Args:
        judge: The discriminator.
        groups: Number of groups.

    Raises:
        ConfigError: The discriminator returns no features.
    """

    def __init__(self, judge: Discriminator, groups: int) -> None:
        super().__init__()
        if not judge.feature_channels:
            raise ConfigError(
                f"The discriminator '{judge.name}' has no features (feature_channels is empty) to classify groups by. "
                "Choose another --discriminator, or --transfer.judge branched."
            )
        self.judge = judge
        self.heads = nn.ModuleList(SpectralConv2d(c, groups, 1, bias=False) for c in judge.feature_channels)

    def forward(self, x: Tensor) -> Verdict:
        """Return the verdict on ``x``, ``(N, 3, H, W)``, with ``group_logits``, each ``(N, groups)``."""
        verdict: Verdict = self.judge(x)
        pairs = zip(self.heads, verdict.features, strict=True)
        logits = [rearrange(head(_padded_mean(feature)), "n groups 1 1 -> n groups") for head, feature in pairs]
        return replace(verdict, group_logits=logits)


def judges_each_alone(judge: nn.Module) -> bool:
    """Return whether real images and fakes may share a batch: no sample's verdict depends on another sample."""
    return not is_stochastic(judge) and not any(_mixes_samples(module) for module in judge.modules())


def _mixes_samples(module: nn.Module) -> bool:
    if isinstance(module, _BatchNorm):
        return module.training or module.running_mean is None
    if isinstance(module, _InstanceNorm):
        return module.training and module.track_running_stats
    iterates = bool(module._forward_pre_hooks) or is_parametrized(module)  # spectral norms iterate once per call
    return iterates or getattr(module, "mixes_samples", False)


def _padded_mean(features: Tensor) -> Tensor:
    pad = min(1, min(features.shape[-2:]) - 1)  # a single pixel cannot be reflected
    return reduce(F.pad(features, (pad,) * 4, mode="reflect"), "n c h w -> n c 1 1", "mean")
