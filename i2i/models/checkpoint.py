"""Checkpoints: self-describing safetensors files, written whole or not at all, and read without pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import i2i
from i2i.errors import CheckpointError, ConfigError, UnknownComponentError
from i2i.models.assembly import Components, resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry, installed
from i2i.storage.run_folder import MODEL_FILE, model_file
from i2i.storage.tensor_file import _read_tensors, read_description, read_shapes, write

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
    chosen = resolve_described(about, file, registry or installed())
    model = Model(chosen, about["base"], about["groups"])
    load_weights(model, file)
    return model


def save(model: Model, path: Path) -> None:
    """Write a model with everything needed to load it again."""
    write(path, dict(model.backbone.state_dict()), describe(model))


def describe(model: Model) -> dict[str, Any]:
    """Return what a model's file says of it: components, options, how it was trained, groups, and who provided them.

    A base model says nothing of a transfer, and no model says anything of the losses that its transfer adds, so that
    any transfer can follow.
    """
    sections = set(_DESCRIBED) if model.new_groups else set(_DESCRIBED) - {"transfer"}
    described = model.components.config.model_dump(mode="json", include=sections)
    config = {name: value for name, value in described.items() if value is not None}
    added = model.components.transfer.options.objective
    config["loss"] = {name: options for name, options in config["loss"].items() if name not in added}
    return {
        "base": model.base,
        "groups": list(model.new_groups),
        "config": config,
        "version": i2i.__version__,
        "providers": model.components.providers,
    }


def resolve_described(about: Mapping[str, Any], file: Path, registry: Registry) -> Components:
    """Choose the components that a model's file describes.

    Raises:
        UnknownComponentError: One is not installed; the message names the distributions that the model was made with.
        CheckpointError: An option is none of theirs any more.
    """
    makers = ", ".join(sorted(set(about.get("providers", {}).values()))) or "other plugins"
    try:
        return resolve({"transfer": {"name": "none"}, **about["config"]}, registry)
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
