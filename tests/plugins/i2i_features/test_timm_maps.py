"""timm's networks, and where their weights come from."""

from __future__ import annotations

import os

import pytest
import timm
import torch
from safetensors.torch import save_file

from i2i.errors import ConfigError, WeightsError
from i2i_features import timm_maps
from i2i_features.timm_maps import TimmMaps
from tests.plugins.i2i_features.conftest import PRETRAINED, noise
from tests.wording import refused

SMALL = "test_resnet"  # timm's own for tests; a few hundred thousand parameters


def read(name: str, path: str | None = None) -> dict[str, torch.Tensor]:
    return PRETRAINED.load(f"timm:{name}", path, [timm_maps.source(name)])


@pytest.fixture
def published() -> torch.nn.Module:
    """A whole network with weights of its own, as timm publishes one."""
    return timm.create_model(SMALL).eval()


@pytest.fixture
def caches(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


@pytest.mark.parametrize("name", [SMALL, "test_efficientnet", "test_convnext", "tf_efficientnet_lite0"])
@pytest.mark.parametrize("side", [32, 48])
def test_maps_have_the_channels_that_timm_tells(name, side) -> None:
    network = TimmMaps(name).eval()
    maps = network(noise(side))
    assert tuple(found.shape[1] for found in maps) == network.channels
    assert [found.shape[2] for found in maps] == sorted((found.shape[2] for found in maps), reverse=True)


@pytest.mark.parametrize("name", [SMALL, "test_efficientnet", "test_convnext"])
def test_converted_weights_give_the_maps_of_the_whole_network(name) -> None:
    whole, network = timm.create_model(name).eval(), TimmMaps(name).eval()
    network.body.load_state_dict(network.converted(whole.state_dict()))
    x = noise(64)
    intermediates = whole.forward_intermediates(x, intermediates_only=True)
    deepest = intermediates[-1]
    torch.testing.assert_close(network(x)[-1].reshape(deepest.shape), deepest)


@pytest.mark.parametrize("assign", [False, True])
def test_maps_and_weights_have_channels_last_whatever_was_loaded(published, assign) -> None:
    network = TimmMaps(SMALL).eval()
    state = {key: tensor.contiguous() for key, tensor in network.converted(published.state_dict()).items()}
    network.body.load_state_dict(state, assign=assign)
    kernels = [weight for weight in network.body.parameters() if weight.dim() == 4]
    for tensor in [*kernels, *network(noise(32))]:
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_it_refuses_the_weights_of_another_network(published) -> None:
    state = {key: tensor for key, tensor in published.state_dict().items() if key != "conv1.0.weight"}
    network = TimmMaps(SMALL)
    for wrong in (timm.create_model("test_efficientnet").state_dict(), state):
        with refused(WeightsError, f"timm's {SMALL}"):
            network.converted(wrong)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("resnt18", ("resnt18", "resnet18", "timm.list_models")),
        (
            "vit_tiny_patch16_224",
            ("vit_tiny_patch16_224", 224),
        ),
    ],
)
def test_wrong_names(name, named) -> None:
    with refused(ConfigError, *named):
        TimmMaps(name)


def test_weights_in_the_hugging_face_cache(caches, published) -> None:
    repository = caches / "hub" / f"models--timm--{SMALL}.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    save_file(published.state_dict(), repository / "snapshots" / "abc" / "model.safetensors")
    assert torch.equal(read(SMALL)["fc.weight"], published.fc.weight)


def test_weights_in_torchs_cache(caches) -> None:
    folder = caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save({"fc.weight": torch.ones(1)}, folder / "resnet18_a1_0-d63eafa0.pth")
    assert read("resnet18").keys() == {"fc.weight"}


def test_weights_in_a_file(tmp_path, published) -> None:
    torch.save(published.state_dict(), tmp_path / "net.pth")
    assert read(SMALL, str(tmp_path / "net.pth")).keys() == published.state_dict().keys()


@pytest.mark.usefixtures("nowhere")
def test_weights_that_are_nowhere() -> None:
    with refused(
        WeightsError,
        "timm:resnet18",
        "timm-cache-resnet18",
        "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors",
        "weights",
    ):
        read("resnet18")


def test_efficientnet_lite0_is_read_for_timm(needs) -> None:
    state = timm_maps.lite0_state(needs("timm:tf_efficientnet_lite0"))
    whole = timm.create_model("tf_efficientnet_lite0")
    assert whole.load_state_dict(state).missing_keys == []
    # What the code that the file was made for, efficientnet_lite_pytorch 0.1.0, gives for this image.
    x = torch.linspace(-1, 1, 3 * 224 * 224).reshape(1, 3, 224, 224)
    with torch.no_grad():
        logits = whole.eval()(x)[0]
    torch.testing.assert_close(logits[:4], torch.tensor([0.266001, 0.590582, 1.719744, 1.383947]), atol=1e-4, rtol=0)


def test_another_file_than_efficientnet_lite0s(tmp_path, published) -> None:
    torch.save(published.state_dict(), tmp_path / "net.pth")
    with refused(WeightsError, "net.pth", "EfficientNet-Lite0"):
        timm_maps.lite0_state(tmp_path / "net.pth")


@pytest.mark.parametrize(("before", "after"), [("", "1"), ("0", "0")])
def test_timm_is_offline_unless_the_user_says_otherwise(monkeypatch, before, after) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", before)
    if not before:
        monkeypatch.delenv("HF_HUB_OFFLINE")
    timm_maps.timm_config(SMALL)
    assert os.environ["HF_HUB_OFFLINE"] == after
