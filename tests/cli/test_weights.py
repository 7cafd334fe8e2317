"""``i2i weights``."""

from __future__ import annotations

import hashlib
import json
from http.server import ThreadingHTTPServer

import pytest

from tests.cli.conftest import Command
from tests.storage.test_caches import BODY, SHA256, server
from tests.wording import mentions

__all__ = ["server"]

PLUGIN = """
    from pathlib import Path
    from i2i import hookimpl
    from i2i import in_torch_cache
    from i2i import WeightsSource
    from i2i.pretrained.weights import read_weights_file

    @hookimpl
    def register_weights():
        common = dict(network="my-net", enables="my loss", load=read_weights_file, remedy="pip install my-net")
        return [
            WeightsSource(name="my-net-package", locate=lambda: None, sha256="", **common),
            WeightsSource(
                name="my-net-official", locate=lambda: in_torch_cache("net.pth"), sha256="{sha256}",
                place="cache", size={size}, url="{url}/net.pth", **common,
            ),
        ]
"""


@pytest.fixture
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "torch" / "hub" / "checkpoints"


def rows(i2i: Command) -> list[str]:
    result = i2i("weights")
    assert (result.status, result.err) == (0, "")
    return [" ".join(line.split()) for line in result.out.splitlines()]


def test_list_tells_what_is_where_and_what_each_enables(i2i, install, server, torch_home) -> None:
    install("my-plugin", PLUGIN.format(url=server, sha256=SHA256, size=len(BODY)))
    assert "my-net: my loss" in rows(i2i)
    assert "my-net-official missing pip install my-net" in rows(i2i)
    assert "vgg16: perceptual loss (its default network), LPIPS (vgg), feature distances" in rows(i2i)
    torch_home.mkdir(parents=True)
    (torch_home / "net.pth").write_bytes(BODY)
    assert f"my-net-official verified {torch_home / 'net.pth'}" in rows(i2i)
    (torch_home / "net.pth").write_bytes(b"x" * len(BODY))
    assert f"my-net-official damaged {torch_home / 'net.pth'}" in rows(i2i)
    (torch_home / "net.pth").write_bytes(b"x")
    assert f"my-net-official damaged {torch_home / 'net.pth'}" in rows(i2i)


def test_list_of_a_file_without_a_known_hash(i2i, install, torch_home) -> None:
    install("my-plugin", PLUGIN.format(url="", sha256="", size=0))
    torch_home.mkdir(parents=True)
    (torch_home / "net.pth").write_bytes(b"x")
    assert f"my-net-official not verified {torch_home / 'net.pth'}" in rows(i2i)


@pytest.mark.parametrize("name", ["my-net", "my-net-official"])
def test_download(i2i, install, server, torch_home, name) -> None:
    install("my-plugin", PLUGIN.format(url=server, sha256=SHA256, size=len(BODY)))
    result = i2i("weights", "download", name)
    assert (result.status, result.out, result.err) == (0, f"{torch_home / 'net.pth'}\n", "")
    assert hashlib.sha256((torch_home / "net.pth").read_bytes()).hexdigest() == SHA256


def test_download_of_something_else(refused, install, server, torch_home) -> None:
    install("my-plugin", PLUGIN.format(url=server, sha256="0" * 64, size=0))
    message = refused("weights", "download", "my-net")
    mentions(message, f"{server}/net.pth", SHA256, "0" * 64)
    assert list(torch_home.iterdir()) == []


def test_download_of_an_unknown_name(refused) -> None:
    message = refused("weights", "download", "vgg-16")
    mentions(message, "vgg-16", "vgg16", "alexnet", "alexnet-torchvision")


def test_download_without_a_server(refused, install, torch_home) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), None) as closed:
        url = f"http://127.0.0.1:{closed.server_port}"
    install("my-plugin", PLUGIN.format(url=url, sha256=SHA256, size=0))
    mentions(refused("weights", "download", "my-net"), f"{url}/net.pth")


@pytest.mark.parametrize("arguments", [("weights", "list", "--json"), ("weights", "--json")])
def test_weights_as_json(i2i, arguments) -> None:
    for one in json.loads(i2i(*arguments).out):
        assert set(one) == {"name", "network", "enables", "file", "state", "remedy"}
        assert bool(one["file"]) != bool(one["remedy"])
