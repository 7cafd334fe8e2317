"""Listeners that cannot be used, and plugins that raise while a run is on: each is named."""

from __future__ import annotations

import pytest

from i2i.errors import ConfigError, PluginError
from i2i.hooks import hookimpl
from i2i.registry.registry import Registry
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import create_run


@pytest.fixture
def run(tmp_path, tiny, registry):
    return create_run(tmp_path / "run", tiny, registry)


def test_misspelt_hook(run):
    class Misspelt:
        @hookimpl
        def on_stepp(self):
            pass

    message = r"The listener Misspelt cannot be used: i2i has no hook 'on_stepp'\. Did you mean 'on_step'\?"
    with pytest.raises(PluginError, match=message):
        run.execute([MetricsFile(), Misspelt()])
    assert {path.name for path in run.folder.iterdir()} == {"run.toml"}
    run.execute()  # nothing of it stays registered


def test_argument_that_the_hook_lacks(run):
    class Greedy:
        @hookimpl
        def on_step(self, everything):
            pass

    with pytest.raises(PluginError, match=r"The listener Greedy cannot be used: .*everything"):
        run.execute([Greedy()])


def test_plugin_that_raises_is_named(run):
    class Fragile:
        @hookimpl
        def on_step(self, run, step):
            raise ValueError(f"no step {step}")

    run.registry = Registry()
    run.registry.add(Fragile(), "fragile")
    with pytest.raises(PluginError) as error:
        run.execute([MetricsFile()])
    assert str(error.value) == (
        "Plugin 'fragile' (this process) failed in on_step: ValueError: no step 1. "
        "Mend or uninstall it, or set I2I_DISABLE_PLUGINS=fragile."
    )


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
