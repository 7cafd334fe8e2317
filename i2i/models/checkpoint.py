"""Checkpoints: self-describing safetensors files, written atomically and read without pickle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor, nn

import i2i
from i2i.errors import CheckpointError, ConfigError, UnknownComponentError
from i2i.models.assembly import resolve
from i2i.models.components import Components
from i2i.models.description import ModelDescription, TrainedConfig, described
from i2i.models.frozen import ModelWeights, removable
from i2i.models.model import Model, outline
from i2i.registry.registry import Registry, installed
from i2i.storage.run_folder import BASE_FILE, model_file
from i2i.storage.tensor_file import TensorFile, is_finite, write

_TRAINED = (
    "preset", "batch_size", "steps", "transfer_steps", "seed", "precision",
    "flip", "crop_margin", "augment", "ada_target", "ada_rise", "ema",
)  # fmt: skip

_DESCRIBED = ("size", "backbone", "generator", "discriminator", "loss", "transfer", *_TRAINED)

_JUDGES = "discriminators."


def load(path: str | os.PathLike[str], registry: Registry | None = None, judges: bool = False) -> Model:
    """Load a model from a run folder or a ``.safetensors`` file.

    Translating needs only the generators, so the much larger discriminators stay in the file. They are read when
    ``group="auto"`` uses a group head, and when the model is saved or exported.

    Example:
        >>> model = i2i.load("runs/emoji")  # doctest: +SKIP
        >>> model.translate(photograph, group="kid")  # doctest: +SKIP

    Args:
        path: The run folder or file.
        registry: Provides the components; every installed plugin by default.
        judges: Also read the discriminators.

    Raises:
        CheckpointError: The model is missing, damaged, or not written by i2i.
        UnknownComponentError: The model needs a plugin that is not installed.
        WeightsError: The discriminators are read, the file leaves out a pretrained network of theirs, and this machine
            lacks its weights or has others.
    """
    file = TensorFile(model_file(Path(path)))
    description = described(file)
    components = resolve_described(description, file.path, registry or installed(), judges)
    return _Source(file, description, components).model(judges)


def save(model: Model, path: Path, slim: bool = False) -> None:
    """Write a model with everything needed to load it again.

    Args:
        model: The model.
        path: The file.
        slim: Store half precision, and leave out the pretrained networks of discriminators whose weights this machine
            has. Translating needs none of them; whatever trains on finds the same weights on its machine, or refuses.
    """
    model.read_judges()
    description, state = describe(model), model.backbone.state_dict()
    if slim:
        left_out = removable(model.backbone, model.components)
        state = {name: _half(one) for name, one in state.items() if not any(part.holds(name) for part in left_out)}
        description = description.model_copy(update={"left_out": left_out})
    write(path, state, description.content())


def describe(model: Model) -> ModelDescription:
    """Return the description for a model's file: components, options, training, groups and providers.

    A base model's description omits the transfer, and every description omits losses added by the transfer, so that
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


def resolve_described(description: ModelDescription, path: Path, registry: Registry, judges: bool = True) -> Components:
    """Return the components described in a model's file; without ``judges``, the discriminator is not constructed.

    Raises:
        UnknownComponentError: One is not installed; the message names the distributions the model was built with.
        CheckpointError: A component no longer has one of the options.
    """
    makers = description.makers
    try:
        given = {"transfer": {"name": "none"}, **description.config.content()}
        return resolve(given, registry, judges=judges)
    except UnknownComponentError as error:
        raise UnknownComponentError(f"{path} was made with {makers}. {error} Install what provides it.") from error
    except ConfigError as error:
        raise CheckpointError(f"{path} does not fit what is installed: {error} It was made with {makers}.") from error


def load_weights(model: Model, file: TensorFile) -> None:
    """Load weights from a file into a model.

    Raises:
        CheckpointError: The weights are those of other networks, or hold NaN or infinity.
        WeightsError: The file leaves out a pretrained network, and this machine lacks its weights or has others.
    """
    model.backbone.load_state_dict(read_model_weights(model, file))


def read_model_weights(model: Model, file: TensorFile) -> dict[str, Tensor]:
    """Return the weights in a file for a model, or for its `outline`, in the types of its networks.

    Raises:
        CheckpointError: The weights are those of other networks, or hold NaN or infinity.
        WeightsError: The file leaves out a pretrained network, and this machine lacks its weights or has others.
    """
    _check_weights(model, file)
    return _read_weights(model.backbone, ModelWeights(file, model.components))


def _check_weights(model: Model, file: TensorFile, judges: bool = True) -> None:
    """Check the names and shapes of the weights of a model, or of its `outline`, against a file.

    Without ``judges``, discriminators in the file may be any.

    Raises:
        CheckpointError: They differ; the message names the first difference.
    """
    left_out = described(file).left_out
    shapes = {name: tuple(tensor.shape) for name, tensor in model.backbone.state_dict().items()}
    wanted = {name: shape for name, shape in shapes.items() if not any(part.holds(name) for part in left_out)}
    stored = {name: file.shape(name) for name in file if judges or not name.startswith(_JUDGES)}
    odd = next((name for name in sorted(wanted | stored) if wanted.get(name) != stored.get(name)), None)
    if odd is not None:
        raise CheckpointError(
            _other_transfer(model, file)
            or f"{file.path} does not fit: {odd} is {stored.get(odd, 'missing')}, not {wanted.get(odd, 'absent')}. "
            "Leave out options that change the networks; without any, the file or a plugin has changed: get those that "
            "wrote it."
        )


def _other_transfer(model: Model, file: TensorFile) -> str:
    """Return why a file with groups does not fit, if they are by another transfer than the model's; empty otherwise."""
    made, given = described(file).config.transfer, model.components.config.transfer["name"]
    if made is None or made.name == given:
        return ""
    return (
        f"{file.path} has its groups by the transfer '{made.name}', and '{given}' needs other networks. Train it "
        f"further with --transfer {made.name}, or start from the model before that, such as {BASE_FILE} of its run."
    )


def _read_weights(network: nn.Module, weights: ModelWeights, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors of a network, which may be on the meta device, in the network's types.

    Args:
        network: The network, or its outline.
        weights: The weights; `_check_weights` has found that their file fits.
        prefix: What precedes the names in the model.

    Raises:
        CheckpointError: A tensor has another type, or holds NaN or infinity.
    """
    return {
        name: as_weight(weights[prefix + name], like, f"{weights.path} is damaged: {prefix}{name}")
        for name, like in network.state_dict().items()
    }


def as_weight(stored: Tensor, like: Tensor, which: str) -> Tensor:
    """Return a copy of a stored tensor in the type of the model's tensor ``like``.

    Args:
        stored: The tensor, from a file.
        like: The model's tensor, possibly on the meta device.
        which: The beginning of the message: the file, and the name of the tensor.

    Raises:
        CheckpointError: One has real numbers, the other has not; or the copy holds NaN or infinity.
    """
    if stored.dtype != like.dtype and not (stored.is_floating_point() and like.is_floating_point()):
        raise CheckpointError(f"{which} holds {_title(stored)}, not {_title(like)}. Restore it.")
    copy = stored.to(like.dtype, copy=True)
    if not is_finite(copy):
        raise CheckpointError(f"{which} holds NaN or infinity. Restore it.")
    return copy


def _half(tensor: Tensor) -> Tensor:
    """Return a tensor in half precision, unless it is of whole numbers or half precision cannot hold it."""
    half = tensor.half() if tensor.is_floating_point() else tensor
    return half if is_finite(half) else tensor


def _title(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


@dataclass(frozen=True)
class _Source:
    """An open file and its model's components; networks are built without memory, then filled."""

    file: TensorFile
    description: ModelDescription
    components: Components

    @cached_property
    def _weights(self) -> ModelWeights:
        return ModelWeights(self.file, self.components)

    def model(self, judges: bool) -> Model:
        """Return the model with or without discriminators."""
        for model in self._candidates(judges):
            if not judges:
                model.leave_judges(self.discriminators)
            self._fill(model.backbone)
            if _is_filled(model.backbone):
                break
        return model

    def discriminators(self) -> nn.ModuleDict:
        """Return only the discriminators."""
        self._check_judges()
        for model in self._candidates():
            judges = model.backbone.discriminators
            self._fill(judges, _JUDGES)
            if _is_filled(judges):
                break
        return judges

    def _check_judges(self) -> None:
        """Refuse discriminators that cannot be built, which `load` has not looked at."""
        resolve_described(self.description, self.file.path, self.components.registry)

    def _candidates(self, judges: bool = True) -> Iterator[Model]:
        """Yield the model's outline, then the model itself for networks that hold more than weights."""
        for build in (outline, Model):
            model = build(self.components, self.description.base, self.description.groups, judges)
            _check_weights(model, self.file, judges)
            yield model

    def _fill(self, network: nn.Module, prefix: str = "") -> None:
        network.load_state_dict(_read_weights(network, self._weights, prefix), assign=True)


def _is_filled(network: nn.Module) -> bool:
    """Return whether every tensor has memory, including tensors that are not weights."""
    values = [*network.parameters(), *network.buffers(), *(one for m in network.modules() for one in vars(m).values())]
    return not any(isinstance(one, Tensor) and one.is_meta for one in values)
