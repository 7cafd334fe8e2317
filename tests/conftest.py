"""Shared fixtures: a small data set on disk, a configuration that trains in milliseconds, the registry."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from i2i.registry.registry import Registry, installed

pytest_plugins = ["tests.wording"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip

settings.register_profile("suite", deadline=None)  # processes that share a core would occasionally miss one
settings.load_profile("suite")

SIDE = 40
IMAGES = {"woman": (8, 8), "man": (3, 2), "kid": (2, 1)}
"""Training images of domains a and b, by group."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests that need an NVIDIA GPU where PyTorch sees none."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU, and torch.cuda.is_available() is false here")


@pytest.fixture(scope="session", autouse=True)
def _light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compute in one thread, without touching the user's cache and settings."""
    torch.set_num_threads(1)
    gc.freeze()  # imported objects stay; scanning them repeatedly took a fifth of the time
    gc.set_threshold(10_000, 20, 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(_of_all_processes(tmp_path_factory) / "cache"))
        for name in ("I2I_DEBUG", "I2I_DISABLE_PLUGINS", "I2I_STRICT_PLUGINS"):
            patch.delenv(name, raising=False)
        yield


def _of_all_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the processes of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def folder_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three groups; read it, never write to it."""
    root = tmp_path_factory.mktemp("images")
    for group, (sources, targets) in IMAGES.items():
        for name, count in {"trainA": sources, "trainB": targets, "testA": 2, "testB": 2}.items():
            write_noise(root / group / name, count)
    return root


@pytest.fixture(scope="session")
def tiny(folder_root: Path) -> dict[str, Any]:
    """A configuration for `resolve` and `create_run` whose steps take milliseconds; never change it."""
    return {
        "size": 32,
        "batch_size": 2,
        "steps": 3,
        "transfer_steps": 2,
        "device": "cpu",
        "backbone": {"channels": 4},
        "generator": {"blocks": 1},
        "discriminator": {"name": "patch"},
        "ema": 0.0,
        "evaluate": {"metrics": ["l1"]},
        "data": {"name": "folder", "root": str(folder_root)},
    }


@pytest.fixture(scope="session")
def registry() -> Registry:
    """A registry of everything installed."""
    return Registry()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install a distribution whose one module is a plugin: ``install("my-plugin", code, version="1.0")``."""
    site, modules = tmp_path / "site-packages", []
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which would outlast a module that is written once more

    def call(name: str, code: str, version: str = "1.0", plugin: str = "") -> None:
        module = name.replace("-", "_")
        metadata = site / f"{module}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (metadata / "entry_points.txt").write_text(f"[i2i]\n{plugin or name} = {module}\n")
        (site / f"{module}.py").write_text(dedent(code))
        modules.append(module)
        importlib.invalidate_caches()
        installed.cache_clear()

    yield call
    for module in modules:
        sys.modules.pop(module, None)
    installed.cache_clear()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, or skip the test without it; required if CI is set, where .ci/run installs it."""
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("Chromium is missing; on Debian: apt install chromium")
    assert CHROMIUM, "CI is set, but Chromium is missing"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        browser.close()


def write_noise(folder: Path, count: int, side: int = SIDE) -> None:
    """Write ``count`` images of noise, ``0.png`` and so on, all different, also from those of other folders."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(list(str(Path(*folder.parts[-2:])).encode()))
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(folder / f"{number}.png")
