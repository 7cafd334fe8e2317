"""The state file of a run, from which an unfinished stage resumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from i2i.errors import TrainingError
from i2i.storage.tensor_file import TensorFile, find_broken, read_description, write
from i2i.training.step import Progress, Training, below


class StateDescription(Progress):
    """The description in a state file: the stage and its progress."""

    stage: str


def collect_state(training: Training) -> dict[str, Tensor]:
    """Return the weights, and all other tensors that the next step depends on; all processes have to call."""
    weights = {f"weights/{name}": tensor for name, tensor in training.backbone.state_dict().items()}
    return weights | training.state()


def write_state(path: Path, stage: str, training: Training, tensors: Mapping[str, Tensor]) -> None:
    """Write what `collect_state` returned, completely or not at all.

    Raises:
        TrainingError: A tensor holds NaN or infinity.
        DataError: The file cannot be written.
    """
    broken = find_broken(tensors)
    if broken is not None:
        raise TrainingError(f"Step {training.done}: {broken} holds NaN or infinity.")
    write(path, tensors, {"stage": stage, **training.progress().content()})


def restore_state(path: Path, stage: str, training: Training) -> None:
    """Resume a stage where its state was saved; without a saved state of this stage, leave the training as it is.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not path.exists():
        return
    file = TensorFile(path)
    state = StateDescription.of(file.content, path)
    if state.stage == stage:
        tensors = dict(file)
        training.backbone.load_state_dict(below(tensors, "weights"))
        training.restore(tensors, state)


def saved_step(path: Path, stage: str) -> int | None:
    """Return the step that a stage would resume from; None: there is no saved state of this stage.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not path.exists():
        return None
    state = StateDescription.of(read_description(path), path)
    return state.done if state.stage == stage else None
