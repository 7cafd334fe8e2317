"""What a run is made from: put together once, and the same whether a run is new or read from its folder."""

from __future__ import annotations

import pytest
import torch

from i2i.config.options import merge
from i2i.errors import CheckpointError, ConfigError
from i2i.models import checkpoint
from i2i.report.record import read_record
from i2i.runs import run as run_module
from i2i.runs import setup
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import Run, Stopped, create_run
from i2i.storage import tensor_file
from i2i.storage.files import write_text
from i2i.storage.toml import read_toml, to_toml
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


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors, content: content.update(done=-1),
        lambda tensors, content: content["positions"].update(x=-1),
        lambda tensors, content: tensors.pop(next(n for n in tensors if "generators" in n)),
        lambda tensors, content: tensors.update(x=torch.full((2,), torch.nan)),
        lambda tensors, content: tensors.update({"discriminator/x/exp_avg": torch.ones(1)}),
        lambda tensors, content: tensors.pop("generator/0/exp_avg"),
        lambda tensors, content: tensors.update({"generator/0/exp_avg": torch.ones(7, 7, 7)}),
    ],
)
def test_a_state_that_does_not_fit_its_run_is_refused(tmp_path, quick, registry, damage):
    with pytest.raises(Stopped):
        create_run(tmp_path / "run", quick, registry).execute(stop_after=1)
    state = tmp_path / "run" / "state.safetensors"
    tensors, content = tensor_file.read(state)
    damage(tensors, content)
    tensor_file.write(state, tensors, content)
    with pytest.raises(CheckpointError, match="state.safetensors"):
        Run(tmp_path / "run", registry).execute()


@pytest.mark.parametrize("table", ["backbone", "generator", "discriminator", "transfer", "data"])
def test_a_table_of_run_toml_without_a_name_is_refused(tmp_path, quick, registry, table):
    create_run(tmp_path / "run", quick, registry)
    file = tmp_path / "run" / "run.toml"
    content = read_toml(file)
    del content[table]["name"]
    write_text(file, to_toml({**content, table: {**content[table], "other": 1}}))
    with refused(ConfigError, file, f"[{table}]"):
        Run(tmp_path / "run", registry)
    with refused(ConfigError, file, f"[{table}]"):
        read_record(tmp_path / "run")


@pytest.mark.parametrize("line", ["[" * 100_000, '{"stage": 1}', "\0", '{"stage":"base","step":' + "9" * 5000 + "}"])
def test_a_damaged_log_does_not_stop_a_run(tmp_path, quick, registry, line, capsys):
    with pytest.raises(Stopped):
        create_run(tmp_path / "run", quick, registry).execute(stop_after=1)
    (tmp_path / "run" / "metrics.jsonl").write_text(line + "\n")
    Run(tmp_path / "run", registry).execute([MetricsFile()])
    assert "metrics.jsonl, line 1" in capsys.readouterr().err
    assert (tmp_path / "run" / "base.safetensors").is_file()


def test_a_loss_that_compares_more_samples_than_a_transfer_draws_is_refused(tmp_path, quick, registry):
    given = merge(quick, {"loss": {"correspondence": 1.0}, "transfer": {"samples": 1}})
    with refused(ConfigError, "correspondence", "3 samples", "--transfer.samples 2"):
        create_run(tmp_path / "run", given, registry)
    assert not (tmp_path / "run").exists()
    create_run(tmp_path / "run", merge(given, {"transfer": {"samples": 2}}), registry)
