"""Every hook that i2i calls.

A plugin is a module in the entry-point group ``i2i`` with some of these functions, marked ``hookimpl``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

    from i2i.contracts.backbone import Backbone
    from i2i.contracts.checkpoint_format import CheckpointFormat
    from i2i.contracts.dataset import Dataset, Group
    from i2i.contracts.detector import GroupDetector
    from i2i.contracts.discriminator import Discriminator
    from i2i.contracts.generator import Generator
    from i2i.contracts.loss import Loss
    from i2i.contracts.metric import Metric
    from i2i.contracts.pretrained import FeatureNetwork
    from i2i.contracts.run_events import RunView
    from i2i.contracts.scores import Judgement
    from i2i.contracts.transfer import Transfer
    from i2i.contracts.weights import WeightsSource
from i2i.hooks import hookspec


@hookspec
def register_backbones() -> Iterable[type[Backbone]]:
    """Return the backbones that the plugin adds.

    Example:
        ```python
        @hookimpl
        def register_backbones():
            from my_plugin.model import Pix

            return [Pix]
        ```
    """
    raise NotImplementedError


@hookspec
def register_generators() -> Iterable[type[Generator]]:
    """Return the generators that the plugin adds; each works in any two-generator cycle backbone.

    Example:
        ```python
        @hookimpl
        def register_generators():
            from my_plugin.networks import TinyGenerator

            return [TinyGenerator]
        ```
    """
    raise NotImplementedError


@hookspec
def register_discriminators() -> Iterable[type[Discriminator]]:
    """Return the discriminators that the plugin adds.

    Example:
        ```python
        @hookimpl
        def register_discriminators():
            from my_plugin.networks import PixelDiscriminator

            return [PixelDiscriminator]
        ```
    """
    raise NotImplementedError


@hookspec
def register_losses() -> Iterable[type[Loss]]:
    """Return the loss terms that the plugin adds; a backbone or ``--loss.NAME`` enables one.

    Example:
        ```python
        @hookimpl
        def register_losses():
            from my_plugin.losses import TotalVariation

            return [TotalVariation]
        ```
    """
    raise NotImplementedError


@hookspec
def register_transfers() -> Iterable[type[Transfer]]:
    """Return the transfer strategies that the plugin adds.

    Example:
        ```python
        @hookimpl
        def register_transfers():
            from my_plugin.transfer import Rotate

            return [Rotate]
        ```
    """
    raise NotImplementedError


@hookspec
def register_metrics() -> Iterable[type[Metric]]:
    """Return the metrics that the plugin adds; every evaluation computes all that fit the data.

    Example:
        ```python
        @hookimpl
        def register_metrics():
            from my_plugin.metrics import Sharpness

            return [Sharpness]
        ```
    """
    raise NotImplementedError


@hookspec
def register_features() -> Iterable[type[FeatureNetwork]]:
    """Return the feature networks that the plugin adds, for metrics that compare features.

    Example:
        ```python
        @hookimpl
        def register_features():
            from my_plugin.features import Dino

            return [Dino]
        ```
    """
    raise NotImplementedError


@hookspec
def register_datasets() -> Iterable[type[Dataset]]:
    """Return the data sets that the plugin adds, for ``--data NAME``.

    Example:
        ```python
        @hookimpl
        def register_datasets():
            from my_plugin.data import Sketches

            return [Sketches]
        ```
    """
    raise NotImplementedError


@hookspec
def register_groups() -> Iterable[Group]:
    """Return `Group` instances: each joins the data set that it extends, or a model by name.

    Example:
        ```python
        @hookimpl
        def register_groups():
            from pathlib import Path

            from i2i import Group

            folder = Path(__file__).parent / "robots"
            return [Group("robot", folder / "trainA", folder / "trainB", extends="emoji")]
        ```
    """
    raise NotImplementedError


@hookspec
def register_detectors() -> Iterable[type[GroupDetector]]:
    """Return the group detectors that the plugin adds, for ``--group auto``.

    Example:
        ```python
        @hookimpl
        def register_detectors():
            from my_plugin.detect import ByAge

            return [ByAge]
        ```
    """
    raise NotImplementedError


@hookspec
def register_formats() -> Iterable[type[CheckpointFormat]]:
    """Return the checkpoint formats of other projects that the plugin reads and writes.

    Example:
        ```python
        @hookimpl
        def register_formats():
            from my_plugin.checkpoint import PixTorch

            return [PixTorch]
        ```
    """
    raise NotImplementedError


@hookspec
def register_weights() -> Iterable[WeightsSource]:
    """Return `WeightsSource` instances: places to look for pretrained weights.

    Example:
        ```python
        @hookimpl
        def register_weights():
            from my_plugin.weights import LAB_SERVER

            return [LAB_SERVER]
        ```
    """
    raise NotImplementedError


@hookspec
def register_commands(app: typer.Typer) -> None:
    """Add commands to ``i2i``; called at every start, so do slow imports inside the commands.

    Example:
        ```python
        @hookimpl
        def register_commands(app):
            @app.command()
            def hello():
                "Say hello."
                print("hello")
        ```
    """
    raise NotImplementedError


@hookspec
def on_train_start(run: RunView) -> None:
    """React to the start or resumption of a training stage, after ``run.step`` completed steps.

    Example:
        ```python
        @hookimpl
        def on_train_start(run):
            print(f"{run.stage}: {run.steps} steps into {run.folder}")
        ```
    """
    raise NotImplementedError


@hookspec
def on_step(run: RunView, step: int, losses: Mapping[str, float]) -> None:
    """React to the end of a stage's 1-based ``step``; ``losses`` are unweighted means by ``side/term``.

    Example:
        ```python
        @hookimpl
        def on_step(run, step, losses):
            if losses["generator/cycle"] > 2:
                print(f"step {step}: the cycle does not close")
        ```
    """
    raise NotImplementedError


@hookspec
def on_evaluate(run: RunView, step: int, scores: Mapping[str, Mapping[str, Judgement]]) -> None:
    """React to the scores of an evaluation, by group and metric; a judgement without a value has a ``note``.

    Example:
        ```python
        @hookimpl
        def on_evaluate(run, step, scores):
            print(scores["kid"]["l1"].value)
        ```
    """
    raise NotImplementedError


@hookspec
def on_checkpoint(run: RunView, path: Path) -> None:
    """React to a checkpoint written to ``path``.

    Example:
        ```python
        @hookimpl
        def on_checkpoint(run, path):
            print(f"saved {path}")
        ```
    """
    raise NotImplementedError


@hookspec
def on_train_end(run: RunView) -> None:
    """React to the end of a training stage; ``run.step < run.steps`` if it was stopped.

    Example:
        ```python
        @hookimpl
        def on_train_end(run):
            print(f"{run.step} of {run.steps} steps done")
        ```
    """
    raise NotImplementedError
