"""Listeners that cannot be used, and plugins that raise while a run is on: each is named."""

from __future__ import annotations

import signal

import pytest

from i2i.errors import ConfigError, PluginError
from i2i.hooks import hookimpl
from i2i.registry.isolation import contained
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

    run.registry = Registry(strict=True)
    run.registry.add(Fragile(), "fragile")
    with refused(PluginError, "fragile", "on_step", "ValueError", 1, "I2I_DISABLE_PLUGINS"):
        run.execute([MetricsFile()])


@pytest.mark.parametrize("raised", [ValueError, SystemExit, KeyboardInterrupt, type("Odd", (BaseException,), {})])
def test_a_plugin_that_raises_is_switched_off_with_one_warning(run, caplog, raised):
    heard = []

    class Fragile:
        @hookimpl(tryfirst=True)
        def on_step(self, step):
            heard.append(step)
            raise raised("enough")

        @hookimpl
        def on_train_end(self):
            heard.append("end")

    run.registry = Registry()
    run.registry.add(Fragile(), "fragile")
    run.execute([MetricsFile()])
    assert heard == [1]
    assert [record.getMessage().count("fragile") > 0 for record in caplog.records] == [True]
    assert (run.folder / "model.safetensors").is_file()
    assert len((run.folder / "metrics.jsonl").read_text().splitlines()) == 3 + 2 + 2  # no line is missing


def test_ctrl_c_in_a_plugin_is_the_users():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt), contained():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("raised", ["ValueError('odd')", "SystemExit(0)", "KeyboardInterrupt()"])
def test_a_component_that_raises_is_named(install, tmp_path, tiny, raised):
    install(
        "my-plugin",
        f"""
        from i2i import Loss, hookimpl

        class Tv(Loss):
            name = "tv"
            needs = frozenset({{"fake"}})

            def generator(self, passes):
                raise {raised}

        @hookimpl
        def register_losses():
            return [Tv]
        """,
        "2.0",
    )
    run = create_run(tmp_path / "other", {**tiny, "loss": {"tv": {"weight": 1}}}, Registry())
    with refused(PluginError, "'my-plugin'", "my-plugin 2.0", "Tv.generator", raised.partition("(")[0]):
        run.execute()


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
