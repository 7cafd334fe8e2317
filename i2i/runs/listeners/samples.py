"""Sample grids drawn during and after training."""

from __future__ import annotations

from collections.abc import Mapping

from i2i.contracts.run_events import RunView
from i2i.contracts.scores import Scores
from i2i.evaluation.heldout import show
from i2i.hooks import hookimpl
from i2i.images.files import write_image
from i2i.images.grids import grid
from i2i.storage.run_folder import SAMPLES


class SampleGrids:
    """Grids of held-out translations every ``sample_every`` steps, and one of the finished model next to the base."""

    @hookimpl
    def on_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        """Draw a grid every ``sample_every`` steps."""
        if time_for_samples(run, step):
            with run.averaged():
                blocks = show({"translation": run.model}, run.dataset, drawings=True)
            write_image(grid(blocks), run.folder / SAMPLES / f"{run.stage}-{step:06d}.png")

    @hookimpl
    def on_evaluate(self, run: RunView, step: int, scores: Scores) -> None:
        """Draw the final grid."""
        if step < run.steps:
            return
        models = {"base model": run.base_model(), "translation": run.model} if run.stage == "transfer" else None
        blocks = show(models or {"translation": run.model}, run.dataset, drawings=True)
        write_image(grid(blocks), run.folder / SAMPLES / f"{run.stage}.png")


def time_for_samples(run: RunView, step: int) -> bool:
    """Return whether samples are drawn at this step: every ``sample_every`` steps, and at the end of a stage."""
    return step % run.config.sample_every == 0 or step == run.steps
