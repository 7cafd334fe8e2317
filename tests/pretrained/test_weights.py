"""Where weights are looked for, in which order, and what is refused."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from i2i.contracts.weights import FoundWeights, WeightsSource
from i2i.errors import WeightsError
from i2i.hooks import hookimpl
from i2i.pretrained import weights
from i2i.pretrained.networks import PretrainedNetworks
from i2i.pretrained.weights import fill, read_weights_file, state_of
from i2i.registry.registry import Registry
from tests.wording import refused

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


class Providing:
    """A plugin that registers sources."""

    def __init__(self, found: list[WeightsSource]) -> None:
        self.found = found

    @hookimpl
    def register_weights(self) -> list[WeightsSource]:
        return self.found


Knowing = Callable[..., None]
HERE = [Registry(entry_points=[])]


@pytest.fixture
def know() -> Knowing:
    """Let these sources be all that are registered."""

    def call(*found: WeightsSource) -> None:
        HERE[0] = Registry(entry_points=[])
        HERE[0].add(Providing(list(found)), "under-test")

    return call


def find(*given, **more) -> FoundWeights:
    return PretrainedNetworks(HERE[0]).find(*given, **more)


def load(*given) -> dict[str, torch.Tensor]:
    return PretrainedNetworks(HERE[0]).load(*given)


def source(name: str, path: Path | None = None, **changes) -> WeightsSource:
    given = {"network": "net", "sha256": "", "remedy": f"Get {name}.", "enables": "tests", "load": read_weights_file}
    return WeightsSource(name=name, locate=lambda: path, **(given | changes))


def written(path: Path, state=STATE) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    save_file(state, path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def cached(tmp_path) -> Path:
    return written(tmp_path / "cache" / "net.safetensors")


@pytest.fixture
def packaged(tmp_path) -> Path:
    return written(tmp_path / "package" / "net.safetensors", {"weight": torch.zeros(1)})


def test_a_cache_comes_before_a_package_and_the_users_file_before_both(know, cached, packaged, tmp_path) -> None:
    know(source("a-package", packaged), source("b-cache", cached, place="cache"))
    assert find("net").path == cached
    assert find("net", written(tmp_path / "mine.safetensors")).path == tmp_path / "mine.safetensors"
    assert [one.name for one in weights.sources(HERE[0], "net")] == ["b-cache", "a-package"]


def test_sources_that_are_not_registered_take_part(know, cached, packaged) -> None:
    know(source("package", packaged))
    assert find("net", also=[source("cache", cached, place="cache")]).path == cached


def test_load_returns_the_tensors(know, cached) -> None:
    know(source("cache", cached, sha256=sha256(cached), size=cached.stat().st_size))
    state = load("net")
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_nowhere_names_places_and_remedies_nearest_first(know) -> None:
    know(source("package", remedy="pip install --no-deps net"), source("cache", place="cache", remedy="Download it."))
    with refused(WeightsError, "net", "cache", "package", "pip install --no-deps net"):
        find("net")


def test_an_unknown_network(know) -> None:
    know(source("package"))
    with refused(WeightsError, "nets", "net"):
        find("nets")


def test_an_unknown_network_beside_a_broken_plugin(know) -> None:
    know(source("package"))
    HERE[0].add(object(), "under-test")  # a name twice
    with refused(WeightsError, "net", "i2i plugins", "under-test"):
        find("other")


def test_a_file_of_the_wrong_size_is_passed_over(know, cached, packaged) -> None:
    know(source("cache", cached, place="cache", size=1), source("package", packaged))
    assert find("net").path == packaged
    know(source("cache", cached, place="cache", size=1))
    with refused(WeightsError, cached):
        find("net")


def test_a_damaged_file_is_refused(know, cached) -> None:
    know(source("cache", cached, sha256="0" * 64))
    assert find("net").path == cached  # a mere look-up does not read it
    with refused(WeightsError, cached, sha256(cached), "0" * 64):
        load("net")


def test_the_users_file_is_read_by_the_source_that_knows_its_hash(know, cached, packaged) -> None:
    special = source("special", load=lambda path: {"read": "specially"}, sha256=sha256(cached)[:8])
    know(special, source("plain", load=lambda path: pytest.fail("another's file")))
    assert find("net", cached).source == special
    assert load("net", cached) == {"read": "specially"}
    assert load("net", str(packaged)).keys() == {"weight"}


def test_the_users_file_is_missing(know) -> None:
    know(source("package"))
    with refused(WeightsError, "no/file.pth", "net"):
        find("net", "no/file.pth")


def test_states(know, cached, tmp_path) -> None:
    assert state_of(None) == "missing"
    assert state_of(FoundWeights(cached, None)) == "not verified"
    assert state_of(FoundWeights(cached, source("any"))) == "not verified"
    assert state_of(FoundWeights(cached, source("right", sha256=sha256(cached)))) == "verified"
    assert state_of(FoundWeights(cached, source("wrong", sha256="0" * 64))) == "damaged"


def test_the_hugging_face_cache_tells_hashes_by_names(cached) -> None:
    blob = cached.rename(cached.with_name(sha256(cached)))
    link = cached.with_name("model.safetensors")
    link.symlink_to(blob)
    assert state_of(FoundWeights(link, source("hub"))) == "verified"
    blob.write_bytes(b"damaged")
    assert state_of(FoundWeights(link, source("hub"))) == "damaged"


def test_read_weights_file_reads_torchs_files_without_running_code(tmp_path) -> None:
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "net.pth")
    assert torch.equal(read_weights_file(tmp_path / "net.pth")["weight"], STATE["weight"])
    torch.save({"weight": print}, tmp_path / "evil.pth")
    with refused(WeightsError, "evil.pth", varies=r"\(.+\)"):
        read_weights_file(tmp_path / "evil.pth")


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_read_weights_file_of_a_damaged_file(tmp_path, name) -> None:
    (tmp_path / name).write_bytes(b"not weights at all")
    with refused(WeightsError, name, varies=r"\(.+\)"):
        read_weights_file(tmp_path / name)


@pytest.mark.parametrize("held", [[1, 2], {"epoch": 3}, {}])
def test_read_weights_file_of_something_else(tmp_path, held) -> None:
    torch.save(held, tmp_path / "net.pth")
    with refused(WeightsError, "net.pth"):
        read_weights_file(tmp_path / "net.pth")


def test_fill() -> None:
    network = nn.Linear(3, 2)
    fill(network, STATE, "net")
    assert torch.equal(network.weight, STATE["weight"])


def test_fill_leaves_the_meta_device_alone() -> None:
    with torch.device("meta"):
        network = nn.Linear(3, 2)
    fill(network, STATE, "net")
    assert network.weight.is_meta


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"weight": STATE["weight"]}, ("bias",)),
        (STATE | {"gain": torch.ones(1)}, ("gain",)),
        (STATE | {"bias": torch.ones(3)}, ("bias", "(3,)", "(2,)")),
    ],
)
def test_fill_refuses_what_does_not_fit(state, named) -> None:
    with refused(WeightsError, "net", *named):
        fill(nn.Linear(3, 2), state, "net")


def test_download_asks_for_an_address(know) -> None:
    know(source("net-package"), source("other-official", network="other", url="http://127.0.0.1:9/other.pth"))
    with refused(WeightsError, "net", "net-package"):
        weights.download(HERE[0], "net")
    with refused(WeightsError, "othre", "other", "other-"):
        weights.download(HERE[0], "othre")


def test_download_goes_into_torchs_cache(know, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    fetched = []
    monkeypatch.setattr(weights, "fetch", lambda *given: fetched.append(given[:3]))
    know(source("net-package"), source("net-official", url="https://example.org/a/net.pth?x=1", sha256="ab"))
    assert weights.download(HERE[0], "net") == tmp_path / "hub" / "checkpoints" / "net.pth"
    assert weights.download(HERE[0], "net-official") == tmp_path / "hub" / "checkpoints" / "net.pth"
    assert fetched == [("https://example.org/a/net.pth?x=1", tmp_path / "hub/checkpoints/net.pth", "ab")] * 2


def test_pickle_is_what_torch_would_run(tmp_path) -> None:
    (tmp_path / "net.pth").write_bytes(pickle.dumps(print))
    with refused(WeightsError, "net.pth", varies=r"\(.+\)"):
        read_weights_file(tmp_path / "net.pth")
