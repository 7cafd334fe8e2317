"""A run: one folder that holds everything a training produced, and the stages that fill it."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import i2i
from i2i.assemble import Chosen, choose, choose_data
from i2i.checkpoint import BASE_FILE, MODEL_FILE, STATE_FILE, load, read, read_description, save, write
from i2i.config import RunConfig, Section, check_group_name, read_toml, to_toml, validate
from i2i.dataset import Dataset
from i2i.engine import Engine, seed_everything
from i2i.errors import ConfigError, DataError
from i2i.evaluate import evaluate
from i2i.files import whole_file
from i2i.loader import Loader, broken_images
from i2i.model import Model
from i2i.plugins import Registry
from i2i.train import Training, below
from i2i.transfer import NoTransfer, Transfer

CONFIG_FILE, METRICS_FILE, REPORT_FILE, SAMPLES = "run.toml", "metrics.jsonl", "report.html", "samples"
STAGE_FILES = {"base": BASE_FILE, "transfer": MODEL_FILE}
_WRITTEN = (CONFIG_FILE, BASE_FILE, MODEL_FILE, STATE_FILE, METRICS_FILE, REPORT_FILE, SAMPLES)


class Stopped(Exception):
    """Training was stopped as asked; its state is saved, and executing the run again goes on."""


class Run:
    """One run folder and the training that fills it; every event hands it to the listeners.

    Args:
        folder: A folder that holds ``run.toml``.
        registry: Where components come from.

    Attributes:
        config: The complete configuration.
        dataset: The data.
        stage: The stage at hand, ``base`` or ``transfer``.
        step: Steps of it that are done.
        steps: Steps of it in all.
        samples_per_step: Images of one domain that each step draws.
        model: The model at hand.
    """

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder, self.registry = folder, registry
        self.config = validate(RunConfig, _read_config(folder), str(folder / CONFIG_FILE))
        self.chosen: Chosen = choose(self.config.model_dump(mode="json", exclude={"data"}), registry)
        self.dataset: Dataset = choose_data({"data": self.config.data}, registry).build()
        self.engine = Engine(self.config.device, self.config.precision, self.config.threads)
        self.stage, self.step, self.steps, self.samples_per_step = "base", 0, 0, 0
        self.model: Model
        self._stop_requested = False

    def execute(self, listeners: Sequence[object] = (), stop_after: int | None = None) -> None:
        """Train every stage that is not finished, going on where the saved state is. Ctrl-C saves and stops.

        Args:
            listeners: Objects with hookimpls that hear the events of this run.
            stop_after: Save and stop after this many steps of all stages together, earlier sittings included.

        Raises:
            Stopped: It stopped before the end, as asked.
        """
        self._stop_requested = False
        with _listening(self.registry, listeners), self._interruptible():
            for stage in self.config.stages:
                if not (self.folder / STAGE_FILES[stage]).exists():
                    self._train(stage, stop_after)

    def base_model(self) -> Model:
        """Load the base model of this run."""
        return load(self.config.base_model or self.folder / BASE_FILE, self.registry)

    def _train(self, stage: str, stop_after: int | None) -> None:
        seed_everything(self.config.seed)
        self.stage = stage
        transfer = self._new_base() if stage == "base" else self._adapted()
        self.steps = self.config.steps_of(stage) if stage == "base" or transfer.trains else 0
        training = self._training(transfer)
        self._restore(training)
        self._announce("on_train_start")
        try:
            self._loop(training, stop_after)
        finally:
            self._announce("on_train_end")
        self._announce("on_evaluate", step=self.step, scores=evaluate(self.model, self.dataset, self.registry))
        save(self.model, self.folder / STAGE_FILES[stage])  # last: this file says that the stage is finished
        self._announce("on_checkpoint", path=self.folder / STAGE_FILES[stage])

    def _loop(self, training: Training, stop_after: int | None) -> None:
        before = self.config.steps if self.stage == "transfer" and "base" in self.config.stages else 0
        while training.done < training.steps:
            if self._stop_requested or (stop_after is not None and before + training.done >= stop_after):
                self._save_state(training)
                raise Stopped
            losses = training.step()
            self.step = training.done
            self._announce("on_step", step=self.step, losses=losses)
            if self.step % self.config.checkpoint_every == 0 or self.step == self.steps:
                self._save_state(training)

    def _new_base(self) -> Transfer:
        self.model = Model(self.chosen, self.dataset.base)
        return NoTransfer(NoTransfer.Config(), self.dataset.base, ())

    def _adapted(self) -> Transfer:
        self.model = self.base_model()
        new = [group for group in self.dataset.groups if group != self.model.base]
        return self.model.adapt(self.chosen, new) if new else NoTransfer(NoTransfer.Config(), self.model.base, ())

    def _training(self, transfer: Transfer) -> Training:
        training = Training(
            self.model.backbone,
            transfer,
            self.chosen.build_losses(transfer.provides),
            Loader(self.dataset, self.config.size, self.config.seed),
            self.engine,
            steps=self.steps,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
        )
        self.samples_per_step = training.samples_per_step
        return training

    def _save_state(self, training: Training) -> None:
        weights = {f"weights/{name}": tensor for name, tensor in self.model.backbone.state_dict().items()}
        path = self.folder / STATE_FILE
        write(path, weights | training.state(), {"stage": self.stage, **training.progress()})
        self._announce("on_checkpoint", path=path)

    def _restore(self, training: Training) -> None:
        path = self.folder / STATE_FILE
        self.step = 0
        if not path.exists():
            return
        tensors, about = read(path)
        if about["stage"] == self.stage:
            self.model.backbone.load_state_dict(below(tensors, "weights"))
            training.restore(tensors, about)
            self.step = training.done

    def _announce(self, event: str, **details: Any) -> None:
        getattr(self.registry.hooks.hook, event)(run=self, **details)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let the first Ctrl-C ask for a stop after the step at hand; the second one interrupts at once."""
        if threading.current_thread() is not threading.main_thread():  # others cannot handle signals
            yield
            return

        def ask(signum: int, frame: FrameType | None) -> None:
            self._stop_requested = True
            signal.signal(signal.SIGINT, previous)

        previous = signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, previous)


def create(folder: Path, given: Mapping[str, Any], registry: Registry, overwrite: bool = False) -> Run:
    """Make a run folder with a complete ``run.toml``; nothing is written when anything given is wrong.

    Raises:
        ConfigError: The configuration is wrong, or the folder holds a run and ``overwrite`` is off.
        DataError: The data cannot be used, or the folder cannot be written to.
    """
    chosen = choose({key: value for key, value in given.items() if key != "data"}, registry)
    data = choose_data(given, registry)
    dataset = data.build()
    _refuse_broken(dataset)
    Engine(chosen.config.device, chosen.config.precision)
    _check_groups(chosen.config, dataset)
    config = chosen.config.model_copy(update={"data": data.section})
    claim(folder, overwrite, config.base_model)
    write_config(folder, config, {**chosen.providers, "data": registry.provider("dataset", config.data["name"])})
    return Run(folder, registry)


def write_config(folder: Path, config: RunConfig, providers: Mapping[str, str]) -> None:
    """Write ``run.toml``: the configuration, and the versions of i2i and of what provides each component."""
    versions = {"i2i": i2i.__version__, **providers}
    with whole_file(folder / CONFIG_FILE) as temporary:
        text = to_toml({**config.model_dump(mode="json"), "versions": versions})
        temporary.write_text(text, encoding="utf-8")


def resume(folder: Path, registry: Registry) -> Run:
    """Open a run folder to go on with it.

    Raises:
        ConfigError: It holds no run.
    """
    return Run(folder, registry)


def _check_groups(config: RunConfig, dataset: Dataset) -> None:
    """Refuse names that cannot be used, and data that does not go with the base model."""
    for group in dataset.groups:
        check_group_name(group)
    if config.base_model is None:
        return
    base, found = read_description(Path(config.base_model))["base"], ", ".join(dataset.groups)
    if base not in dataset.groups:
        raise ConfigError(f"The data has no group '{base}', which is the model's base; it has {found}.")
    if len(dataset.groups) == 1:
        raise ConfigError(f"The data has no group beside '{base}', the model's base. Add a folder for each new group.")


def _refuse_broken(dataset: Dataset) -> None:
    problems = broken_images(dataset)
    if problems:
        more = f"\n... and {len(problems) - 5} more; i2i data check lists all." if len(problems) > 5 else ""
        raise DataError("\n".join(problems[:5]) + more)


def claim(folder: Path, overwrite: bool, base_model: str | None = None) -> None:
    """Make ``folder`` ready for a new run.

    Raises:
        ConfigError: It holds a run and ``overwrite`` is off, or files that are no run, or the base model itself.
        DataError: It cannot be made.
    """
    if base_model is not None and Path(base_model).resolve().parent == folder.resolve():
        raise ConfigError(f"{folder} holds the base model itself. Choose another --out.")
    if (folder / CONFIG_FILE).exists():
        if not overwrite:
            raise ConfigError(
                f"{folder} holds a run already. Go on with --resume {folder}, or replace it: --overwrite."
            )
        _clear(folder)
    elif folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} holds files that are no run. Choose an empty or new folder with --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error.strerror}). Choose another --out.") from error


def _clear(folder: Path) -> None:
    for name in _WRITTEN:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _read_config(folder: Path) -> Section:
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{folder} is no run folder: it has no {CONFIG_FILE}. Name a folder that i2i run made.")
    return {key: value for key, value in read_toml(folder / CONFIG_FILE).items() if key != "versions"}


@contextmanager
def _listening(registry: Registry, listeners: Sequence[object]) -> Iterator[None]:
    try:
        for listener in listeners:
            registry.hooks.register(listener)
        yield
    finally:
        for listener in filter(registry.hooks.is_registered, listeners):
            registry.hooks.unregister(listener)
