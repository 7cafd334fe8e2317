"""The configuration, components and data of a run: checking, writing and reading them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from i2i.compute.engine import Engine
from i2i.config.run import RunConfig
from i2i.contracts.dataset import Dataset
from i2i.errors import ConfigError
from i2i.evaluation.best import check_evaluation
from i2i.groups.addition import dataset_for_addition
from i2i.models.assembly import resolve
from i2i.models.components import Components
from i2i.models.data import build_data, joining_groups, resolve_data
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry
from i2i.runs.checks import Outlines, check_compiling, check_data, check_logging, check_networks
from i2i.runs.footprint import check_memory
from i2i.storage.run_folder import CONFIG_FILE, claim, read_run, write_config


@dataclass(frozen=True)
class RunSetup:
    """The contents of ``run.toml``.

    Attributes:
        config: The complete configuration.
        components: The chosen parts.
        dataset: The data.
        made_on: The machine the run was created on.
    """

    config: RunConfig
    components: Components
    dataset: Dataset
    made_on: Mapping[str, Any]


def read_setup(folder: Path, registry: Registry) -> RunSetup:
    """Read the setup of a run folder.

    Raises:
        ConfigError: The folder is not a run folder, or its ``run.toml`` is invalid.
        DataError: The data cannot be used.
    """
    stored = read_run(folder)
    config = stored.config
    chosen = resolve(config.model_dump(mode="json", exclude={"data"}), registry)
    return RunSetup(config, chosen, _data(chosen, config, registry), stored.machine)


def check_setup(given: Mapping[str, Any], registry: Registry) -> tuple[RunSetup, Engine]:
    """Return the setup that `write_setup` would write, after the same checks, and the engine to compute on.

    Raises:
        ConfigError: The configuration is invalid.
        DataError: The data cannot be used.
    """
    chosen, engine = _choose(given, registry)
    setup = _setup(chosen, given, engine, registry)
    _check(setup, registry, engine)
    return setup, engine


def write_setup(
    folder: Path, given: Mapping[str, Any], registry: Registry, overwrite: bool = False
) -> tuple[RunSetup, Engine]:
    """Create a run folder with a complete ``run.toml``; write nothing if anything is invalid.

    With several processes, all must call this; only the first one writes.

    Args:
        folder: The run folder.
        given: The user's options, nested as in ``run.toml``.
        registry: Provides the components.
        overwrite: Replace an existing run.

    Returns:
        The setup as `read_setup` would return it, and the engine to compute on.

    Raises:
        ConfigError: The configuration is invalid, or the folder holds a run and ``overwrite`` is off.
        DataError: The data cannot be used, or the folder cannot be written to.
    """
    chosen, engine = _choose(given, registry)
    written: list[RunSetup] = []
    engine.processes.once(lambda: written.append(_write(folder, chosen, given, engine, registry, overwrite)))
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{platform.node()} does not see {folder}. Choose an --out that all hosts share.")
    setup = written[0] if written else _setup(chosen, given, engine, registry)
    return setup, engine


def _check_processes(asked: int, started: int) -> None:
    if asked not in (1, started):
        raise ConfigError(
            f"--processes is {asked}, but {started} {'processes are' if started > 1 else 'process is'} running. Under "
            "torchrun, leave it out; from Python, start the script with torchrun."
        )


def _choose(given: Mapping[str, Any], registry: Registry) -> tuple[Components, Engine]:
    chosen = resolve({key: value for key, value in given.items() if key != "data"}, registry)
    engine = Engine(chosen.config.device, chosen.config.precision, chosen.config.threads)
    _check_processes(chosen.config.processes, engine.processes.count)
    return chosen, engine


def _write(
    folder: Path, chosen: Components, given: Mapping[str, Any], engine: Engine, registry: Registry, overwrite: bool
) -> RunSetup:
    setup = _setup(chosen, given, engine, registry)
    _check(setup, registry, engine)
    config = setup.config
    claim(folder, overwrite, config.base_model)
    source = {} if config.added is not None else {"data": registry.provider(Dataset, config.data["name"])}
    write_config(folder, config, {**chosen.providers, **source}, setup.made_on)
    return setup


def _setup(chosen: Components, given: Mapping[str, Any], engine: Engine, registry: Registry) -> RunSetup:
    """Add the data to the components."""
    is_addition = chosen.config.added is not None
    section = {"data": given.get("data", {})} if is_addition else _data_options(given, chosen.config, registry)
    config = chosen.config.model_copy(update=section)
    components = replace(chosen, config=config)
    return RunSetup(config, components, _data(components, config, registry), engine.describe())


def _check(setup: RunSetup, registry: Registry, engine: Engine) -> None:
    check_compiling(setup.config)
    outlines = Outlines(setup.components)
    check_memory(outlines, setup.dataset, engine.device)
    check_data(setup.config, setup.dataset)
    check_networks(outlines, setup.dataset, PretrainedNetworks(registry))
    check_logging(setup.config.log)
    check_evaluation(setup.config, setup.dataset, registry, engine.device)


def _data(chosen: Components, config: RunConfig, registry: Registry) -> Dataset:
    if config.added is not None:
        return dataset_for_addition(chosen, config.data, registry)
    return build_data(resolve_data({"data": config.data}, registry), config.extra_groups or (), registry)


def _data_options(given: Mapping[str, Any], config: RunConfig, registry: Registry) -> dict[str, Any]:
    """Return the ``data`` section of ``run.toml``: the data set, its options and the added groups."""
    data = resolve_data(given, registry)
    return {"data": data.section, "extra_groups": joining_groups(data, config.extra_groups, registry) or None}
