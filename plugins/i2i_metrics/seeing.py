"""Base class of metrics on the features of a network."""

from __future__ import annotations

import torch
from pydantic import Field

from i2i import Metric, Pretrained

NETWORK = "What sees the images: alexnet, vgg16, timm:NAME, inception, dlib, …, with :LAYER where it has several."


class Seeing(Metric):
    """A metric that compares features (abstract)."""

    class Config(Metric.Config):
        """Options of metrics that compare features."""

        network: str = Field("alexnet", description=NETWORK)
        weights: str | None = Field(None, description="File of the network's weights; by default they are looked for.")

    config: Config

    def prepare(self, pretrained: Pretrained, device: torch.device) -> None:
        """Load the feature network."""
        super().prepare(pretrained, device)
        self.sees = pretrained.features(self.config.network, self.config.weights, device)
        self.network, self.resize = self.sees.title, self.sees.resize
