"""Listeners that cannot be used, and plugins that raise while a run is on: each is named."""

from __future__ import annotations

import pytest

from i2i.errors import ConfigError, PluginError
from i2i.hooks import hookimpl
from i2i.registry.registry import Registry
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import create_run
from tests.wording import refused


@pytest.fixture
def run(tmp_path, tiny, registry):
    return create_run(tmp_path / "run", tiny, registry)


def test_misspelt_hook(run):
    class Misspelt:
        @hookimpl
        def on_stepp(self):
            pass

    with refused(PluginError, "Misspelt", "on_stepp", "on_step"):
        run.execute([MetricsFile(), Misspelt()])
    assert {path.name for path in run.folder.iterdir()} == {"run.toml"}
    run.execute()  # nothing of it stays registered


def test_argument_that_the_hook_lacks(run):
    class Greedy:
        @hookimpl
        def on_step(self, everything):
            pass

    with refused(PluginError, "Greedy", "everything", varies=r"<\S+ object at .+?>"):
        run.execute([Greedy()])


def test_plugin_that_raises_is_named(run):
    class Fragile:
        @hookimpl
        def on_step(self, run, step):
            raise ValueError(f"no step {step}")

    run.registry = Registry()
    run.registry.add(Fragile(), "fragile")
    with refused(PluginError, "fragile", "on_step", "ValueError", 1, "I2I_DISABLE_PLUGINS"):
        run.execute([MetricsFile()])


def test_mistakes_that_a_plugin_names_pass(run):
    class Strict:
        @hookimpl
        def on_train_start(self):
            raise ConfigError("no")

    run.registry = Registry()
    run.registry.add(Strict(), "strict")
    with pytest.raises(ConfigError, match=r"^no$"):
        run.execute()


def test_a_listener_that_is_no_plugin_fails_as_itself(run):
    class Fragile:
        @hookimpl
        def on_train_end(self):
            raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        run.execute([Fragile()])
