"""Where files that were fetched before are found, and fetching one, from a server on this machine."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from i2i.errors import WeightsError
from i2i.storage import caches
from tests.wording import refused

BODY = b"weights" * 400_000  # more than one block
SHA256 = hashlib.sha256(BODY).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path != "/gone.pth" else 404)
        if self.path != "/unannounced.pth":
            self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:1000] if self.path == "/cut.pth" else BODY)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that sends weights."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as own:
        thread = threading.Thread(target=own.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{own.server_port}"
        own.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "torch" / "net.pth"


@pytest.mark.parametrize("known", [SHA256, SHA256[:8], ""])
def test_fetch_writes_the_file_and_reports_progress(server, target, known) -> None:
    told = []
    caches.fetch(f"{server}/net.pth", target, known, lambda done, total: told.append((done, total)))
    assert target.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert len(told) > 1


def test_fetch_without_an_announced_length(server, target) -> None:
    told = []
    caches.fetch(f"{server}/unannounced.pth", target, SHA256, lambda done, total: told.append(total))
    assert target.read_bytes() == BODY
    assert set(told) == {0}


@pytest.mark.parametrize(
    ("path", "sha256", "named"),
    [
        ("gone.pth", "", (404,)),
        ("cut.pth", "", (1000, len(BODY))),
        ("net.pth", "0" * 64, (SHA256, "0" * 64)),
    ],
)
def test_a_failed_fetch_leaves_an_older_file_and_nothing_else(server, target, path, sha256, named) -> None:
    target.parent.mkdir()
    target.write_text("older")
    with refused(WeightsError, f"{server}/{path}", *named):
        caches.fetch(f"{server}/{path}", target, sha256, lambda *_: None)
    assert [file.read_text() for file in target.parent.iterdir()] == ["older"]


def test_fetch_from_nobody(target) -> None:
    with refused(WeightsError, "http://127.0.0.1:9/net.pth", varies=r"\(.+\)"):
        caches.fetch("http://127.0.0.1:9/net.pth", target, "", lambda *_: None)
    assert not target.exists()


def test_in_package_finds_a_file_without_importing(tmp_path, monkeypatch) -> None:
    package = tmp_path / "site" / "my_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('imported')")
    (package / "net.bin").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert caches.in_package("my_weights", "net.bin") == package / "net.bin"
    assert caches.in_package("my_weights", "other.bin") is None
    assert caches.in_package("no_such_package", "net.bin") is None


@pytest.mark.parametrize(
    ("variable", "folder"),
    [("TORCH_HOME", "hub/checkpoints"), ("XDG_CACHE_HOME", "torch/hub/checkpoints")],
)
def test_in_torch_cache(tmp_path, monkeypatch, variable, folder) -> None:
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    assert caches.in_torch_cache("net.pth") is None
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "net.pth").write_text("")
    assert caches.in_torch_cache("net.pth") == tmp_path / folder / "net.pth"


@pytest.mark.parametrize(
    ("variable", "folder"),
    [("HF_HUB_CACHE", "."), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")],
)
def test_in_hugging_face_cache(tmp_path, monkeypatch, variable, folder) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    repository = tmp_path / folder / "models--timm--net.a1"
    for revision in ("old", "new"):
        (repository / "snapshots" / revision).mkdir(parents=True)
        (repository / "snapshots" / revision / "pytorch_model.bin").write_text("")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("new")
    found = caches.in_hugging_face_cache("timm/net.a1", ["model.safetensors", "pytorch_model.bin"])
    assert found == tmp_path / folder / "models--timm--net.a1" / "snapshots" / "new" / "pytorch_model.bin"
    assert caches.in_hugging_face_cache("timm/other", ["model.safetensors"]) is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep caches elsewhere")
@pytest.mark.parametrize("given", [None, ""])
def test_the_cache_folder_by_default(monkeypatch, given) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME") if given is None else monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert caches.cache_folder() == Path.home() / ".cache" / "i2i"


@pytest.mark.parametrize("given", ["/elsewhere", "~", "~/elsewhere"])
def test_the_cache_folder_that_the_user_chose(monkeypatch, given) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert caches.cache_folder() == Path(given).expanduser() / "i2i"


def test_digest_is_remembered_while_the_file_stays_as_it_is(tmp_path) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(BODY)
    assert caches.digest(file) == SHA256
    before = caches._hashed.cache_info().hits
    assert caches.digest(file) == SHA256
    assert caches._hashed.cache_info().hits == before + 1
    file.write_bytes(b"another")
    assert caches.digest(file) == hashlib.sha256(b"another").hexdigest()


def test_each_file_of_a_large_set_is_read_once(tmp_path, monkeypatch) -> None:
    files = [tmp_path / f"{number}.png" for number in range(200)]
    for file in files:
        file.write_text(file.name)
    read, digest_of = [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, kind: read.append(file.name) or digest_of(file, kind))
    first, second = ([caches.digest(file) for file in files] for _ in range(2))
    assert first == second
    assert len(set(first)) == 200
    assert sorted(read) == sorted(map(str, files))
