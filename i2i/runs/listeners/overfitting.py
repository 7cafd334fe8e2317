"""The gauge of overfitting discriminators."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from i2i.contracts.run_events import RunView
from i2i.evaluation.overfitting import FEWEST, RUNAWAY, overfitting, remedy
from i2i.hooks import hookimpl
from i2i.runs.listeners.metrics_file import write_line
from i2i.runs.listeners.samples import time_for_samples


class OverfittingGauge:
    """Measures how far the discriminators have memorised the training drawings, every ``sample_every`` steps.

    The figures and the probabilities of adaptive augmentation go into ``metrics.jsonl``. Groups above the limit get
    one warning per stage.

    Args:
        console: Receives the warnings.

    Attributes:
        figures: Latest figure by group, from `i2i.evaluation.overfitting.overfitting`.
    """

    def __init__(self, console: Console) -> None:
        self.figures: dict[str, float] = {}
        self._console = console
        self._warned: set[str] = set()

    @hookimpl
    def on_train_start(self, run: RunView) -> None:
        """Reset the figures and warnings."""
        self.figures, self._warned = {}, set()

    @hookimpl(tryfirst=True)
    def on_step(self, run: RunView, step: int, losses: Mapping[str, float]) -> None:
        """Measure every ``sample_every`` steps, before the display shows the figures."""
        if not time_for_samples(run, step):
            return
        self.figures = overfitting(run.model, run.dataset)
        measured = {"overfitting": self.figures, "augmentation": run.model.backbone.augmentation.chances}
        if any(measured.values()):
            write_line(run, {"stage": run.stage, "step": step, **measured})
        for group in self._running_away(run):
            self._warned.add(group)
            self._console.print(_warning(run, group, self.figures[group]), style="yellow", highlight=False)

    def _running_away(self, run: RunView) -> list[str]:
        high = [group for group, figure in self.figures.items() if figure > RUNAWAY and group not in self._warned]
        return [group for group in high if len(run.dataset.test(group, "b")) >= FEWEST]


def _warning(run: RunView, group: str, figure: float) -> str:
    return (
        f"The discriminator memorises the drawings of '{group}': overfitting {figure:.2f} at step {run.step} of "
        f"{run.stage} (0: none; 1: held-out drawings are taken for fakes). "
        f"Use {remedy(run.stage, run.config.augment)}, or a gradient penalty: --loss.adversarial.r1 1."
    )
