"""A run: the folder with everything training produces, and the stages that fill it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from i2i.compute.engine import Engine
from i2i.compute.randomness import seed_everything
from i2i.compute.threads import ThreadChoice, kept_threads
from i2i.config.run import MOST_ROLLBACKS
from i2i.errors import TrainingError
from i2i.evaluation.best import Best, decider
from i2i.evaluation.scoring import Evaluation
from i2i.groups.addition import GroupAddition
from i2i.groups.files import write_groups
from i2i.groups.stored import as_stored
from i2i.models.checkpoint import load, save
from i2i.models.model import Model
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.events import announce, listening, naming
from i2i.registry.registry import Registry, installed
from i2i.runs.interrupt import Interrupt
from i2i.runs.setup import RunSetup, read_setup, write_setup
from i2i.runs.stages import Stage, start_of, start_stage, training_of
from i2i.runs.state import (
    StateDescription,
    check_weights,
    collect_state,
    halve_rate,
    restore_state,
    saved_step,
    write_state,
)
from i2i.storage.locks import locked
from i2i.storage.run_folder import BASE_FILE, BEST_FILE, CONFIG_FILE, LOCK_FILE, STAGE_FILES, STATE_FILE, STEPS
from i2i.training.step import Training
from i2i.training.substeps import redistributed


class Stopped(Exception):
    """Training stopped on request; its state is saved, and executing the run again resumes it.

    Args:
        signal: The number of the signal that requested it; 0 if it was ``stop_after``.
    """

    def __init__(self, signal: int = 0) -> None:
        super().__init__("The run was stopped; its state is saved.")
        self.signal = signal


class Run:
    """A run folder and the training that fills it; listeners receive it with every event.

    Args:
        folder: A folder with a ``run.toml``.
        registry: Provides the components.
        setup: The contents of ``run.toml``, if already read.
        engine: Where to compute, if already chosen.

    Attributes:
        config: The complete configuration.
        made_on: The machine the run was created on.
        dataset: The data.
        stage: The current stage, ``base`` or ``transfer``.
        step: Steps of the stage done so far.
        steps: Total steps of the stage.
        samples_per_step: Images of one domain per step.
        seen: Images of domain b drawn in this stage so far, by group.
        halvings: Times the learning rates of this stage were halved, after NaN or infinity.
        model: The current model.
        averaged: Context manager that gives the generators their averaged weights, as saved, if ``ema`` is on.
    """

    def __init__(
        self, folder: Path, registry: Registry, setup: RunSetup | None = None, engine: Engine | None = None
    ) -> None:
        self.folder, self.registry, self.pretrained = folder, registry, PretrainedNetworks(registry)
        setup = setup or read_setup(folder, registry)
        self.config, self.components, self.dataset = setup.config, setup.components, setup.dataset
        self.made_on = setup.made_on
        self.engine = engine or Engine(self.config.device, self.config.precision, self.config.threads)
        self._processes = self.engine.processes
        self._accumulate = redistributed(self.config.accumulate, self._processes_before, self._processes.count)
        self.stage, self.step, self.steps, self.samples_per_step, self.halvings = "base", 0, 0, 0, 0
        self.seen: Mapping[str, int] = {}
        self.model: Model
        self._addition: GroupAddition | None = None
        self._best: Best | None = None
        self.averaged: Callable[[], AbstractContextManager[None]] = nullcontext
        self._say: Callable[[str], object] = str
        self._check_folder: Callable[[], object] = bool  # in other processes than the first
        self._threads: ThreadChoice
        self._interrupt = Interrupt(twice=self._processes.count == 1)

    @property
    def changes(self) -> str:
        """Differences from the machine the run was created on; with any, results may differ in the last bits."""
        now = self.engine.describe()
        changed = {name: old for name, old in self.made_on.items() if now.get(name) != old}
        return ", ".join(f"{name} is {now.get(name)}, was {old}" for name, old in changed.items())

    @property
    def batch_change(self) -> str:
        """What another number of processes than at the creation changes in the batch; empty for the same number."""
        before, now = self._processes_before, self._processes.count
        if before == now:
            return ""
        per_process, then = self._accumulate, self.config.accumulate
        old, new = then * before, per_process * now
        kept = "as before" if old == new else f"instead of {old}: batches differ in size from here on"
        return (
            f"{now} instead of {before} processes, {per_process} instead of {then} sub-steps each: a step averages "
            f"{new} sub-steps, {kept}."
        )

    @property
    def _processes_before(self) -> int:
        """The number of processes the run was created with."""
        return int(self.made_on.get("processes", self._processes.count))

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation of both stages; scores of real drawings and untranslated sources are computed once."""
        return Evaluation(self.dataset, self.registry, self.config.evaluate.metrics, self.config.metric)

    def execute(
        self,
        listeners: Sequence[object] = (),
        stop_after: int | None = None,
        say: Callable[[str], object] = str,
    ) -> None:
        """Train all unfinished stages, resuming from the saved state. Ctrl-C, SIGTERM and SIGHUP save and stop.

        With ``on_nan = "rollback"``, a stage that runs into NaN or infinity resumes by itself.

        With several processes, all must call this; only the first one writes, evaluates and has listeners.

        Args:
            listeners: Objects with hookimpls that receive the events of the run.
            stop_after: Save and stop after this many steps, counted over all stages and earlier calls.
            say: Receives remarks on how the run goes on, one line each.

        Raises:
            Stopped: Training was stopped on request before the end.
            ConfigError: Another command is running in the folder.
            DataError: The folder or its lock vanished.
            TrainingError: A loss or a weight is NaN or infinity; the message says how to resume.
            PluginError: A component from a plugin raised, or a listener from one did and the registry is strict.
            ProcessError: Another process failed.
        """
        with ExitStack() as held:
            self._processes.once(lambda: self._lock(held))
            held.enter_context(listening(self.registry, listeners if self._processes.first else ()))
            held.enter_context(self._interrupt.heard())
            held.enter_context(kept_threads())
            self._say = say
            held.enter_context(naming(self.registry))
            for stage in self.config.stages:
                if not self._is_finished(stage):
                    self._train(stage, stop_after)

    def _lock(self, held: ExitStack) -> None:
        self._check_folder = held.enter_context(locked(self.folder / LOCK_FILE)).check

    def base_model(self) -> Model:
        """Load the model the transfer starts from."""
        return load(start_of("transfer", self.config) or self.folder / BASE_FILE, self.registry, judges=True)

    def _is_finished(self, stage: str) -> bool:
        return self._processes.any(self._processes.first and (self.folder / STAGE_FILES[stage]).exists())

    def _train(self, stage: str, stop_after: int | None) -> None:
        self.stage = stage
        while not self._completes(self._start(), stop_after):
            pass  # rolled back
        with self.averaged():
            if self._addition is not None:
                self._addition.settle()
            self._processes.once(self._finish)

    def _start(self) -> Training:
        """Return the training of the stage, at its saved state if there is one."""
        seed_everything(self.config.seed)
        self.averaged = nullcontext  # lets go of an earlier training
        started = start_stage(self.stage, self.components, self.dataset, self.pretrained, self.folder / BASE_FILE)
        self.model, self.steps, self._addition = started.model, started.steps, started.addition
        training = self._training(started)
        self._restore(training)
        self._processes.once(self._prepare_evaluation)
        return training

    def _completes(self, training: Training, stop_after: int | None) -> bool:
        """Train to the end of the stage; return False after a rollback, from which the stage is to be started again."""
        self._announce("on_train_start")
        try:
            self._loop(training, stop_after)
        except TrainingError as error:
            self._roll_back(error)
            return False
        finally:
            if self._processes.first:
                announce(self.registry, "on_train_end", run=self)
        return True

    def _roll_back(self, error: TrainingError) -> None:
        """Halve the learning rates of the saved state.

        Raises:
            TrainingError: The options ask to stop instead, or the stage was rolled back too often.
        """
        path, number = self.folder / STATE_FILE, self.halvings + 1
        if self.config.on_nan == "stop":
            raise TrainingError(f"{error} {self._way_on()}") from error
        if number > MOST_ROLLBACKS:
            raise TrainingError(f"{error} The stage was rolled back {self.halvings} times. {self._way_on()}") from error
        self._processes.once(lambda: halve_rate(path))
        self._say(
            f"{error} Resuming from step {saved_step(path, self.stage)} with half the learning rate (rollback {number} "
            f"of {MOST_ROLLBACKS})."
        )

    def _finish(self) -> None:
        self._evaluate()
        if self.stage == "transfer":
            write_groups(as_stored(self.model), self.folder)
        save(self.model, self.folder / STAGE_FILES[self.stage])  # last: this file marks the stage as finished
        self._announce("on_checkpoint", path=self.folder / STAGE_FILES[self.stage])

    def _prepare_evaluation(self) -> None:
        """Choose the metric that selects the best model of the stage."""
        self.evaluation.load(self.model.device)
        if self.config.evaluate.every:
            groups = [group for group in self.dataset.groups if group in self.model.groups]
            size, device, named = self.model.size, self.model.device, self.config.evaluate.best
            self._best = Best(
                self.folder / BEST_FILE, self.stage, *decider(self.evaluation, groups, size, device, named)
            )

    def _evaluate(self) -> None:
        """Score the current model and keep it if it is the best so far; before the end, score only served groups."""
        scores = self.evaluation.scores(self.model, None if self.step == self.steps else self.model.groups)
        self._announce("on_evaluate", step=self.step, scores=scores)
        if self._best is not None and self._best.offer(self.model, self.step, scores):
            self._announce("on_checkpoint", path=self._best.path)

    def _loop(self, training: Training, stop_after: int | None) -> None:
        if self.config.on_nan == "rollback" and training.done == self.halvings == 0:
            self._save_state(training)
        before = self.config.steps if self.stage == "transfer" and "base" in self.config.stages else 0
        while training.done < training.steps:
            signal = self._processes.largest(self._interrupt.signal)
            if signal or (stop_after is not None and before + training.done >= stop_after):
                self._save_state(training)
                raise Stopped(signal)
            losses = self._threads.run(training.done, training.step)
            self.step, self.seen = training.done, training.seen
            self._announce("on_step", step=self.step, losses=losses)
            if self._time_to_evaluate() or self._time_to_keep():
                check_weights(training)
            if self._time_to_evaluate():
                with self._as_saved():
                    self._processes.once(self._evaluate)
            if self._time_to_keep():
                self._processes.once(self._keep)
            if self.step % self.config.checkpoint_every == 0 or self.step == self.steps:
                self._save_state(training)

    @contextmanager
    def _as_saved(self) -> Iterator[None]:
        """Switch the model, inside the block, to the state that would be saved at the end of the stage."""
        with self.averaged(), self._addition.settled() if self._addition is not None else nullcontext():
            yield

    def _time_to_evaluate(self) -> bool:
        """Return whether to evaluate now; the last step is evaluated when the stage finishes."""
        every = self.config.evaluate.every
        return bool(every) and self.step % every == 0 and self.step < self.steps

    def _time_to_keep(self) -> bool:
        return bool(self.config.keep_every) and self.step % self.config.keep_every == 0

    def _keep(self) -> None:
        path = self.folder / STEPS / f"{self.stage}-{self.step:06d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        with self._as_saved():
            save(self.model, path)
        self._announce("on_checkpoint", path=path)

    def _training(self, stage: Stage) -> Training:
        training = training_of(stage, self.components, self.dataset, self.engine, self.pretrained, self._accumulate)
        self.averaged = training.averaged
        self.samples_per_step = training.samples_per_step
        return training

    def _save_state(self, training: Training) -> None:
        tensors = collect_state(training)
        self._processes.once(lambda: self._write_state(training, tensors))

    def _write_state(self, training: Training, tensors: Mapping[str, Tensor]) -> None:
        path = self.folder / STATE_FILE
        write_state(path, self.stage, training, tensors, self._threads)
        self._announce("on_checkpoint", path=path)

    def _restore(self, training: Training) -> None:
        state = restore_state(self.folder / STATE_FILE, self.stage, training)
        self._threads = self._thread_choice(state)
        self.step, self.seen, self.halvings = training.done, training.seen, training.halvings

    def _thread_choice(self, state: StateDescription | None) -> ThreadChoice:
        """Return the choice of threads of the stage, which continues that of a saved state."""
        counts = self.engine.thread_counts
        if state is None or len(counts) == 1:
            return ThreadChoice(counts, say=self._say)
        return ThreadChoice(counts, state.threads, state.thread_schedule, say=self._say)

    def _way_on(self) -> str:
        step = saved_step(self.folder / STATE_FILE, self.stage)
        saved = f"the start of the stage '{self.stage}'" if step is None else f"step {step}"
        rollback = ', or on_nan to "rollback"' if self.config.on_nan == "stop" else ""
        return (
            f"To resume from {saved}, lower lr in [backbone] of {self.folder / CONFIG_FILE}, or set precision to "
            f'"32"{rollback}, then --resume {self.folder}.'
        )

    def _announce(self, event: str, **details: Any) -> None:
        """Send an event in the first process; before and after it, when files are written, the folder must be there."""
        if self._processes.first:
            self._check_folder()
            announce(self.registry, event, run=self, **details)
            self._check_folder()


def create_run(
    folder: str | os.PathLike[str], given: Mapping[str, Any], registry: Registry | None = None, overwrite: bool = False
) -> Run:
    """Create a run folder with a complete ``run.toml`` and open it; nothing is trained until `Run.execute`.

    Example:
        >>> run = i2i.create_run("runs/mine", {"data": {"name": "folder", "root": "faces"}})  # doctest: +SKIP
        >>> run.execute()  # doctest: +SKIP

    Args:
        folder: The run folder.
        given: Options, nested as in ``run.toml``; all others get their defaults.
        registry: Provides the components; every installed plugin by default.
        overwrite: Replace an existing run.

    Raises:
        ConfigError: An option is invalid, or the folder holds a run and ``overwrite`` is off.
        DataError: The data cannot be used, or the folder cannot be written to.
    """
    registry = registry or installed()
    setup, engine = write_setup(Path(folder), given, registry, overwrite)
    return Run(Path(folder), registry, setup, engine)


def open_run(folder: str | os.PathLike[str], registry: Registry | None = None) -> Run:
    """Open a run folder to read its configuration and data, score its models or continue training.

    Example:
        >>> run = i2i.open_run("runs/mine")  # doctest: +SKIP
        >>> i2i.Evaluation(run.dataset, i2i.Registry(), ["l1"]).scores(i2i.load(run.folder))  # doctest: +SKIP

    Args:
        folder: The run folder.
        registry: Provides the components; every installed plugin by default.

    Raises:
        ConfigError: The folder is not a run folder, or its ``run.toml`` is invalid.
        DataError: The data cannot be used.
    """
    return Run(Path(folder), registry or installed())
