"""TensorBoard event files of a run: losses, scores and sample grids."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from i2i.hooks import hookimpl
from i2i.images.files import read_image
from i2i.runs.checks import check_logging
from i2i.storage.run_folder import LOGS, SAMPLES

if TYPE_CHECKING:
    from i2i.contracts.run_events import RunView
    from i2i.contracts.scores import Scores


class TensorBoard:
    """Writes events to ``logs/base`` and ``logs/transfer`` in the run folder.

    Losses are named ``side/term``, scores ``metric/group``, grids ``samples``. Events later than the saved state are
    hidden when a stopped run resumes.

    Raises:
        ConfigError: The extra ``tensorboard`` is not installed.
    """

    def __init__(self) -> None:
        check_logging("tensorboard")
        self._writer: Any = None

    @hookimpl
    def on_train_start(self, run: RunView) -> None:
        """Open the files of the stage."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.folder / LOGS / run.stage), purge_step=run.step + 1)

    @hookimpl(trylast=True)
    def on_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        """Add losses, and the grid if one was drawn at this step."""
        for name, loss in losses.items():
            self._writer.add_scalar(name, loss, step)
        self._add_grid(run.folder / SAMPLES / f"{run.stage}-{step:06d}.png", step)

    @hookimpl(trylast=True)
    def on_evaluate(self, run: RunView, step: int, scores: Scores) -> None:
        """Add scores; a finished stage also gets its grid and closes the files."""
        for group, judgements in scores.items():
            for metric, judgement in judgements.items():
                if judgement.value is not None:
                    self._writer.add_scalar(f"{metric}/{group}", judgement.value, step)
        if step == run.steps:
            self._add_grid(run.folder / SAMPLES / f"{run.stage}.png", step)
            self._writer.close()

    @hookimpl
    def on_train_end(self, run: RunView) -> None:
        """Close the files of a stopped stage; a finished one is evaluated next."""
        if run.step < run.steps:
            self._writer.close()

    def _add_grid(self, path: Path, step: int) -> None:
        if path.is_file():
            self._writer.add_image("samples", np.asarray(read_image(path)), step, dataformats="HWC")
