"""Checkpoints: self-describing safetensors files, written whole or not at all, and read without pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize
from torch import Tensor

import i2i
from i2i import weights
from i2i.assemble import Chosen, choose
from i2i.errors import CheckpointError, ConfigError, UnknownComponentError
from i2i.files import whole_file
from i2i.model import Model
from i2i.plugins import Registry, installed

FORMAT = 1
KEY = "i2i"
MODEL_FILE, BASE_FILE, STATE_FILE = "model.safetensors", "base.safetensors", "state.safetensors"
BEST_FILE = "best.safetensors"
_TRAINED = (
    "preset", "batch_size", "steps", "transfer_steps", "seed", "precision",
    "flip", "crop_margin", "augment", "ada_target", "ada_rise", "ema",
)  # fmt: skip
_DESCRIBED = ("size", "backbone", "generator", "discriminator", "loss", "transfer", *_TRAINED)


def load(path: str | os.PathLike[str], registry: Registry | None = None) -> Model:
    """Load a model from a run folder or a ``.safetensors`` file.

    Example:
        >>> model = i2i.load("runs/emoji")  # doctest: +SKIP
        >>> model.translate(photograph, group="kid")  # doctest: +SKIP

    Raises:
        CheckpointError: There is no model, it is damaged, or it is not i2i's.
        UnknownComponentError: It was made with a plugin that is not installed.
    """
    file = model_file(Path(path))
    about = read_model_description(file)
    chosen = choose_described(about, file, registry or installed())
    with weights.brought():
        model = Model(chosen, about["base"], about["groups"])
    load_weights(model, file)
    return model


def save(model: Model, path: Path) -> None:
    """Write a model with everything needed to load it again."""
    write(path, dict(model.backbone.state_dict()), describe(model))


def model_file(path: Path, names: Sequence[str] = (MODEL_FILE, BASE_FILE)) -> Path:
    """Return the model's file in a run folder, or the file itself.

    Args:
        path: The folder or file.
        names: What to look for in a folder, in this order.

    Raises:
        CheckpointError: There is none.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist. Name a run folder or a .safetensors file.")
    if path.is_file():
        return path
    for name in names:
        if (path / name).is_file():
            return path / name
    raise CheckpointError(f"{path} holds no {MODEL_FILE}. Name a run folder whose training has finished a stage.")


def describe(model: Model) -> dict[str, Any]:
    """Return what a model's file says of it: components, options, how it was trained, groups, and who provided them.

    A base model says nothing of a transfer, and no model says anything of the losses that its transfer adds, so that
    any transfer can follow.
    """
    sections = set(_DESCRIBED) if model.new_groups else set(_DESCRIBED) - {"transfer"}
    described = model.chosen.config.model_dump(mode="json", include=sections)
    config = {name: value for name, value in described.items() if value is not None}
    added = model.chosen.transfer.build(model.base, model.new_groups).objective
    config["loss"] = {name: options for name, options in config["loss"].items() if name not in added}
    return {
        "base": model.base,
        "groups": list(model.new_groups),
        "config": config,
        "version": i2i.__version__,
        "providers": model.chosen.providers,
    }


def choose_described(about: Mapping[str, Any], file: Path, registry: Registry) -> Chosen:
    """Choose the components that a model's file describes.

    Raises:
        UnknownComponentError: One is not installed; the message names the distributions that the model was made with.
        CheckpointError: An option is none of theirs any more.
    """
    makers = ", ".join(sorted(set(about.get("providers", {}).values()))) or "other plugins"
    try:
        with weights.brought():
            return choose({"transfer": {"name": "none"}, **about["config"]}, registry)
    except UnknownComponentError as error:
        raise UnknownComponentError(f"{file} was made with {makers}. {error} Install what provides it.") from error
    except ConfigError as error:
        raise CheckpointError(f"{file} does not fit what is installed: {error} It was made with {makers}.") from error


def load_weights(model: Model, file: Path) -> None:
    """Give a model the weights that a file holds.

    Raises:
        CheckpointError: The file is damaged, or holds the weights of other networks.
    """
    check_weights(model, file)
    model.backbone.load_state_dict(_read_tensors(file))


def check_weights(model: Model, file: Path) -> None:
    """Compare names and shapes of a model's weights, which may be its `outline`'s, with those in a file.

    Raises:
        CheckpointError: They differ; the message names the first difference.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.backbone.state_dict().items()}
    found = read_shapes(file)
    odd = next((name for name in sorted(wanted | found) if wanted.get(name) != found.get(name)), None)
    if odd is not None:
        raise CheckpointError(
            f"{file} does not fit: {odd} is {found.get(odd, 'missing')}, not {wanted.get(odd, 'absent')}. Leave out "
            "options that change the networks; without any, the file or a plugin has changed: get those that wrote it."
        )


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a JSON description, whole or not at all.

    Raises:
        DataError: The place cannot be written to.
    """
    metadata = {KEY: json.dumps({"format": FORMAT, **about}, sort_keys=True)}
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with whole_file(path) as temporary:
        temporary.write_bytes(serialize(plain, metadata))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and description back.

    Raises:
        CheckpointError: The file is missing, damaged, cut short, or not i2i's.
    """
    about = read_description(path)
    return _read_tensors(path), about


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes of all tensors in a file, by name, and none of their values."""
    with safe_open(path, framework="pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def read_description(path: Path) -> dict[str, Any]:
    """Read what a file says of itself.

    Raises:
        CheckpointError: The file is missing, damaged, cut short, or not i2i's.
    """
    try:
        if not path.exists():
            raise CheckpointError(f"{path} does not exist. Check the name.")
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get(KEY, "null"))
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged, cut short, or no safetensors file ({error}). Restore it.") from error
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise CheckpointError(f"{path} was not written by i2i: it does not describe itself. Name a model of i2i.")
    if about["format"] > FORMAT:
        raise CheckpointError(f"{path} has format {about['format']}; this i2i reads up to {FORMAT}. Update i2i.")
    return about


def read_model_description(file: Path) -> dict[str, Any]:
    """Read what a model's file says of itself, as `describe` wrote it.

    Raises:
        CheckpointError: As `read_description`, or the file holds no model.
    """
    about = read_description(file)
    if "group" in about:
        raise CheckpointError(
            f"{file} holds the group '{about['group']}' alone. Put it into a model: i2i groups attach."
        )
    if not {"base", "groups", "config"} <= about.keys():
        raise CheckpointError(f"{file} holds the state of a training, no model. Name its run folder or {MODEL_FILE}.")
    return about


def _read_tensors(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
