"""The part of a run that event listeners may read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from i2i.config.run import RunConfig
from i2i.contracts.dataset import Dataset
from i2i.contracts.translator import Translator


class RunView(Protocol):
    """A run, as passed to event listeners.

    Attributes:
        folder: The run folder.
        config: The complete configuration.
        dataset: The data.
        stage: The current stage, ``base`` or ``transfer``.
        step: Completed steps of the stage.
        steps: Total steps of the stage.
        samples_per_step: Images drawn per domain and step.
        seen: Group to number of domain b images drawn so far in this stage.
        halvings: Times the learning rates of this stage were halved after NaN or infinity.
        model: The current model.
        averaged: Returns a context in which the generators have their averaged weights, if ``ema`` is on.
    """

    @property
    def folder(self) -> Path: ...  # noqa: D102
    @property
    def config(self) -> RunConfig: ...  # noqa: D102
    @property
    def dataset(self) -> Dataset: ...  # noqa: D102
    @property
    def stage(self) -> str: ...  # noqa: D102
    @property
    def step(self) -> int: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def samples_per_step(self) -> int: ...  # noqa: D102
    @property
    def seen(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def halvings(self) -> int: ...  # noqa: D102
    @property
    def model(self) -> Translator: ...  # noqa: D102
    @property
    def averaged(self) -> Callable[[], AbstractContextManager[None]]: ...  # noqa: D102

    def base_model(self) -> Translator:
        """Load the model that the transfer starts from."""
        ...
