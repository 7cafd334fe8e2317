"""What a run is made from, its configuration, parts and data: checked and written, and read from its folder."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from i2i import weights
from i2i.adding import data_of
from i2i.assemble import Choice, Chosen, build_data, choose, choose_data
from i2i.best import check_evaluation
from i2i.checks import check_data, check_logging, check_networks
from i2i.config import INFORMATIVE, RunConfig, validate
from i2i.dataset import Dataset
from i2i.engine import Engine
from i2i.errors import ConfigError
from i2i.folder import CONFIG_FILE, claim, read_config, write_config
from i2i.plugins import Registry


@dataclass(frozen=True)
class Recipe:
    """What ``run.toml`` says.

    Attributes:
        config: The complete configuration.
        chosen: The parts that it chooses.
        dataset: The data.
        made_on: What is known of the machine that the run was made on.
    """

    config: RunConfig
    chosen: Chosen
    dataset: Dataset
    made_on: Mapping[str, Any]


def read_recipe(folder: Path, registry: Registry) -> Recipe:
    """Read the recipe of a run folder.

    Raises:
        ConfigError: The folder is no run folder, or what its ``run.toml`` says is wrong.
        DataError: The data cannot be used.
    """
    content = read_config(folder)
    options = {name: value for name, value in content.items() if name not in INFORMATIVE}
    config = validate(RunConfig, options, str(folder / CONFIG_FILE))
    with weights.brought():  # whoever trains looks for them when networks are built
        chosen = choose(config.model_dump(mode="json", exclude={"data"}), registry)
    return Recipe(config, chosen, _data(chosen, config, registry), content.get("machine", {}))


def write_recipe(folder: Path, given: Mapping[str, Any], registry: Registry, overwrite: bool = False) -> None:
    """Make a run folder with a complete ``run.toml``; nothing is written when anything given is wrong.

    Of several processes the first one does, and all of them have to call.

    Args:
        folder: The run folder.
        given: What the user decided, nested as in ``run.toml``.
        registry: Where components come from.
        overwrite: Replace the run that the folder holds.

    Raises:
        ConfigError: The configuration is wrong, or the folder holds a run and ``overwrite`` is off.
        DataError: The data cannot be used, or the folder cannot be written to.
    """
    chosen = choose({key: value for key, value in given.items() if key != "data"}, registry)
    engine = Engine(chosen.config.device, chosen.config.precision, chosen.config.threads)
    engine.processes.once(lambda: _write(folder, chosen, given, engine, registry, overwrite))
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{platform.node()} does not see {folder}. Choose an --out that all hosts share.")


def _write(
    folder: Path, chosen: Chosen, given: Mapping[str, Any], engine: Engine, registry: Registry, overwrite: bool
) -> None:
    data = None if chosen.config.added is not None else choose_data(given, registry)
    told = {"data": given.get("data", {})} if data is None else _told(data, chosen.config, registry)
    config = chosen.config.model_copy(update=told)
    dataset = _data(chosen, config, registry)
    check_data(config, dataset)
    check_networks(chosen, dataset)
    check_logging(config.log)
    check_evaluation(config, dataset, registry, engine.device)
    claim(folder, overwrite, config.base_model)
    source = {} if data is None else {"data": registry.provider("dataset", config.data["name"])}
    write_config(folder, config, {**chosen.providers, **source}, engine.describe())


def _data(chosen: Chosen, config: RunConfig, registry: Registry) -> Dataset:
    if config.added is not None:
        return data_of(chosen, config.data, registry)
    return build_data(choose_data({"data": config.data}, registry), config.extra_groups or (), registry)


def _told(data: Choice[Dataset], config: RunConfig, registry: Registry) -> dict[str, Any]:
    """Return what ``run.toml`` shall say of the data: the set with its options, and the groups that join it."""
    extra = config.extra_groups
    joining = tuple(registry.groups_of(data.component.name)) if extra is None else extra
    return {"data": data.section, "extra_groups": joining or None}
