"""Checkpoints: self-describing safetensors files, written whole or not at all, and read without pickle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

import i2i
from i2i.errors import CheckpointError, ConfigError, UnknownComponentError
from i2i.models.assembly import resolve
from i2i.models.components import Components
from i2i.models.description import ModelDescription, TrainedConfig, described
from i2i.models.model import Model, outline
from i2i.registry.registry import Registry, installed
from i2i.storage.run_folder import model_file
from i2i.storage.tensor_file import TensorFile, write

_TRAINED = (
    "preset", "batch_size", "steps", "transfer_steps", "seed", "precision",
    "flip", "crop_margin", "augment", "ada_target", "ada_rise", "ema",
)  # fmt: skip

_DESCRIBED = ("size", "backbone", "generator", "discriminator", "loss", "transfer", *_TRAINED)

_JUDGES = "discriminators."


def load(path: str | os.PathLike[str], registry: Registry | None = None, judges: bool = False) -> Model:
    """Load a model from a run folder or a ``.safetensors`` file.

    Translating needs the generators alone, so the discriminators, by far the larger part, stay in the file. They are
    read when ``group="auto"`` asks a group head, and when the model is saved or exported.

    Example:
        >>> model = i2i.load("runs/emoji")  # doctest: +SKIP
        >>> model.translate(photograph, group="kid")  # doctest: +SKIP

    Args:
        path: The run folder or file.
        registry: Where components come from; by default all that is installed.
        judges: Read the discriminators, too.

    Raises:
        CheckpointError: There is no model, it is damaged, or i2i did not write it.
        UnknownComponentError: It was made with a plugin that is not installed.
    """
    file = TensorFile(model_file(Path(path)))
    description = described(file)
    components = resolve_described(description, file.path, registry or installed())
    return _Source(file, description, components).model(judges)


def save(model: Model, path: Path) -> None:
    """Write a model with everything needed to load it again."""
    model.read_judges()
    write(path, dict(model.backbone.state_dict()), describe(model).content())


def describe(model: Model) -> ModelDescription:
    """Return the description of a model for its file: components, options, training, groups and providers.

    A base model says nothing of a transfer, and no model says anything of the losses that its transfer adds, so that
    any transfer can follow.
    """
    sections = set(_DESCRIBED) if model.new_groups else set(_DESCRIBED) - {"transfer"}
    chosen = model.components.config.model_dump(mode="json", include=sections)
    config = {name: value for name, value in chosen.items() if value is not None}
    added = model.components.transfer.options.objective
    config["loss"] = {name: options for name, options in config["loss"].items() if name not in added}
    return ModelDescription(
        base=model.base,
        groups=model.new_groups,
        config=TrainedConfig.model_validate(config),
        version=i2i.__version__,
        providers=model.components.providers,
    )


def resolve_described(description: ModelDescription, path: Path, registry: Registry) -> Components:
    """Choose the components that a model's file describes.

    Raises:
        UnknownComponentError: One is not installed; the message names the distributions that the model was made with.
        CheckpointError: An option is none of theirs any more.
    """
    makers = description.makers
    try:
        return resolve({"transfer": {"name": "none"}, **description.config.content()}, registry)
    except UnknownComponentError as error:
        raise UnknownComponentError(f"{path} was made with {makers}. {error} Install what provides it.") from error
    except ConfigError as error:
        raise CheckpointError(f"{path} does not fit what is installed: {error} It was made with {makers}.") from error


def load_weights(model: Model, file: TensorFile) -> None:
    """Give a model the weights that a file holds.

    Raises:
        CheckpointError: The file holds the weights of other networks.
    """
    check_weights(model, file)
    model.backbone.load_state_dict(dict(file))


def check_weights(model: Model, file: TensorFile) -> None:
    """Compare names and shapes of a model's weights, which may be its `outline`'s, with those in a file.

    Raises:
        CheckpointError: They differ; the message names the first difference.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.backbone.state_dict().items()}
    stored = {name: file.shape(name) for name in file}
    odd = next((name for name in sorted(wanted | stored) if wanted.get(name) != stored.get(name)), None)
    if odd is not None:
        raise CheckpointError(
            f"{file.path} does not fit: {odd} is {stored.get(odd, 'missing')}, not {wanted.get(odd, 'absent')}. Leave "
            "out options that change the networks; without any, the file or a plugin has changed: get those that wrote "
            "it."
        )


@dataclass(frozen=True)
class _Source:
    """An open file, and the components of the model in it; networks are built without memory, then filled."""

    file: TensorFile
    description: ModelDescription
    components: Components

    def model(self, judges: bool) -> Model:
        """Return the model, with its discriminators or without."""
        for model in self._candidates():
            if not judges:
                model.leave_judges(self.discriminators)
            self._fill(model.backbone)
            if _is_filled(model.backbone):
                break
        return model

    def discriminators(self) -> nn.ModuleDict:
        """Return the discriminators alone."""
        for model in self._candidates():
            judges = model.backbone.discriminators
            self._fill(judges, _JUDGES)
            if _is_filled(judges):
                break
        return judges

    def _candidates(self) -> Iterator[Model]:
        """Yield the model's outline, then, for networks that hold more than their weights, the model itself."""
        for build in (outline, Model):
            model = build(self.components, self.description.base, self.description.groups)
            check_weights(model, self.file)
            yield model

    def _fill(self, network: nn.Module, prefix: str = "") -> None:
        tensors = {name: _copy(self.file[prefix + name], own) for name, own in network.state_dict().items()}
        network.load_state_dict(tensors, assign=True)


def _copy(stored: Tensor, like: Tensor) -> Tensor:
    """Return a tensor that no longer depends on the file."""
    return stored.to(like.dtype, copy=True)


def _is_filled(network: nn.Module) -> bool:
    """Return whether every tensor has memory, including those that are not weights."""
    own = [*network.parameters(), *network.buffers(), *(one for m in network.modules() for one in vars(m).values())]
    return not any(isinstance(one, Tensor) and one.is_meta for one in own)
