"""The state file of a run, from which an unfinished stage resumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from i2i.compute.threads import ThreadChoice
from i2i.errors import CheckpointError, TrainingError
from i2i.storage.tensor_file import TensorFile, find_broken, read_description, write
from i2i.training.step import Progress, Training, below

_REMEDY = "Restore it, or remove it to train the stage from its start."


class StateDescription(Progress):
    """The description in a state file: the stage and its progress.

    Attributes:
        stage: The stage.
        threads: The number of CPU threads chosen by measurement; 0 if none was.
        thread_schedule: The first step that each number was used for, counted from 0, and the number.
    """

    stage: str
    threads: int = 0
    thread_schedule: tuple[tuple[int, int], ...] = ()


def collect_state(training: Training) -> dict[str, Tensor]:
    """Return the weights, and all other tensors that the next step depends on; all processes have to call.

    Raises:
        TrainingError: In all processes: a tensor of one of them holds NaN or infinity.
    """
    tensors = _weights(training) | training.state()
    _refuse_broken(training, tensors)
    return tensors


def check_weights(training: Training) -> None:
    """Check the weights before the model is scored or kept; all processes have to call.

    Raises:
        TrainingError: In all processes: a weight, or one of the generators' average, is NaN or infinity.
    """
    average = training.average.state() if training.average is not None else {}
    _refuse_broken(training, {**_weights(training), **{f"average/{name}": one for name, one in average.items()}})


def _weights(training: Training) -> dict[str, Tensor]:
    return {f"weights/{name}": tensor for name, tensor in training.backbone.state_dict().items()}


def _refuse_broken(training: Training, tensors: Mapping[str, Tensor]) -> None:
    broken = find_broken(tensors)
    if training.engine.processes.any(broken is not None):
        where = broken or "the state of another process"
        raise TrainingError(f"Step {training.done}: {where} holds NaN or infinity.")


def write_state(
    path: Path, stage: str, training: Training, tensors: Mapping[str, Tensor], choice: ThreadChoice
) -> None:
    """Write what `collect_state` returned, completely or not at all.

    Raises:
        DataError: The file cannot be written.
    """
    threads = {"threads": choice.settled, "thread_schedule": choice.schedule} if choice.schedule else {}
    write(path, tensors, {"stage": stage, **training.progress().content(), **threads})


def restore_state(path: Path, stage: str, training: Training) -> StateDescription | None:
    """Resume a stage where its state was saved, and return the state's description.

    Without a saved state of this stage, leave the training as it is, and return None.

    Raises:
        CheckpointError: The file is damaged, or of another run.
    """
    if not path.exists():
        return None
    file = TensorFile(path)
    state = StateDescription.of(file.content, path)
    if state.stage != stage:
        return None
    tensors = dict(file)
    broken = find_broken(tensors)
    if broken is not None:
        raise CheckpointError(f"{path} is damaged: '{broken}' holds NaN or infinity. {_REMEDY}")
    try:
        training.backbone.load_state_dict(below(tensors, "weights"))
        training.restore(tensors, state)
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path} does not fit the run ({reason}). {_REMEDY}") from error
    return state


def halve_rate(path: Path) -> StateDescription:
    """Halve the learning rates that a stage resumes with, and return the new description of its state.

    Raises:
        CheckpointError: The file is damaged.
        DataError: It cannot be written.
    """
    file = TensorFile(path)
    state = StateDescription.of(file.content, path)
    halved = state.model_copy(update={"halvings": state.halvings + 1})
    write(path, dict(file), halved.content())
    return halved


def saved_step(path: Path, stage: str) -> int | None:
    """Return the step that a stage would resume from; None: there is no saved state of this stage.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not path.exists():
        return None
    state = StateDescription.of(read_description(path), path)
    return state.done if state.stage == stage else None
