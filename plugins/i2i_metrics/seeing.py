"""Metrics that see images through a feature network."""

from __future__ import annotations

import torch
from pydantic import Field

from i2i import Metric
from i2i.pretrained import features

NETWORK = "What sees the images: alexnet, vgg16, timm:NAME, inception, dlib, …, with :LAYER where it has several."


class Seeing(Metric):
    """A metric that compares features (abstract)."""

    class Config(Metric.Config):
        """Options of metrics that compare features."""

        network: str = Field("alexnet", description=NETWORK)
        weights: str | None = Field(None, description="File of the network's weights, if they shall not be looked for.")

    config: Config

    def __init__(self, config: Config, device: torch.device) -> None:
        super().__init__(config, device)
        self.sees = features.network(config.network, config.weights, device)
        self.network, self.resize = self.sees.title, self.sees.resize
