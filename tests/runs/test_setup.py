"""What a run is made from: put together once, and the same whether a run is new or read from its folder."""

from __future__ import annotations

import pytest

from i2i.config.options import merge
from i2i.errors import CheckpointError
from i2i.models import checkpoint
from i2i.runs import run as run_module
from i2i.runs import setup
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import Run, Stopped, create_run
from i2i.storage import tensor_file
from i2i.storage.toml import to_toml
from tests.wording import refused


@pytest.fixture
def quick(tiny):
    return merge(tiny, {"backbone": {"name": "cyclegan"}, "steps": 2, "transfer_steps": 1})


class Counter:
    """Counts the calls of a function."""

    def __init__(self, function) -> None:
        self.function, self.calls = function, 0

    def __call__(self, *arguments, **options):
        self.calls += 1
        return self.function(*arguments, **options)


def test_a_run_is_put_together_once(tmp_path, quick, registry, monkeypatch):
    """Components are resolved, the engine and the data are made once, whether a run is new or goes on."""
    resolving, engine, data = Counter(setup.resolve), Counter(setup.Engine), Counter(setup.build_data)
    for module in (setup, run_module, checkpoint):
        for name, counter in (("resolve", resolving), ("Engine", engine), ("build_data", data)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, counter)
    given = {**quick, "stages": ["base"], "evaluate": {"metrics": ["l1"]}}
    with pytest.raises(Stopped):
        create_run(tmp_path / "run", given, registry).execute([MetricsFile()], stop_after=1)
    assert (resolving.calls, engine.calls, data.calls) == (1, 1, 1)
    Run(tmp_path / "run", registry).execute([MetricsFile()])
    assert (resolving.calls, engine.calls, data.calls) == (2, 2, 2)


def test_a_new_run_knows_what_its_folder_says(tmp_path, quick, registry):
    new, read = create_run(tmp_path / "run", quick, registry), Run(tmp_path / "run", registry)
    assert to_toml(new.config.model_dump(mode="json")) == to_toml(read.config.model_dump(mode="json"))
    assert new.components.config.model_dump(exclude={"data"}) == read.components.config.model_dump(exclude={"data"})
    for part in ("backbone", "generator", "discriminator", "transfer", "losses", "providers"):
        assert getattr(new.components, part) == getattr(read.components, part)
    assert new.made_on == read.made_on
    assert new.dataset.groups == read.dataset.groups


def test_a_state_with_a_damaged_description_is_refused(tmp_path, quick, registry):
    with pytest.raises(Stopped):
        create_run(tmp_path / "run", quick, registry).execute(stop_after=1)
    state = tmp_path / "run" / "state.safetensors"
    tensors, content = tensor_file.read(state)
    tensor_file.write(state, tensors, {k: v for k, v in content.items() if k != "positions"})
    with refused(CheckpointError, state, "positions"):
        Run(tmp_path / "run", registry).execute()
