"""The options of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from i2i.config.options import GroupName, Options, Section

PRESETS: dict[str, Section] = {
    "quick": {"size": 64, "batch_size": 4, "steps": 500},
    "paper": {"size": 256, "batch_size": 1, "steps": 100_000, "transfer_steps": 100_000},
}

STEPS_OPTIONS = {"base": "--steps", "transfer": "--transfer-steps"}
"""The option that sets the length of each stage."""

INFORMATIVE = frozenset({"versions", "machine"})
"""Tables of ``run.toml`` that record how the run was created and are not options."""

MOST_PROCESSES = 256
"""Processes that a command line may start."""

MOST_ROLLBACKS = 3
"""Times that a stage is rolled back after NaN or infinity."""

CROP_MARGIN = 286 / 256
"""Size of resized images relative to the crop, as published for CycleGAN and U-GAT-IT."""

LEAST_MARGIN, MOST_MARGIN = 1, 4
"""Without cropping, and with a sixteenth of an image in a crop."""


class AddedGroup(Options):
    """A group that a run adds to a model that already has groups."""

    group: GroupName = Field(description="What it is called.")
    root: Path | None = Field(None, description="Folder with trainA and trainB; None: a plugin's group of that name.")
    train_trunk: bool = Field(False, description="Also train what all groups share.")


class Evaluating(Options):
    """When to evaluate a run, and with which metrics."""

    every: int = Field(
        default=0,
        ge=0,
        description="Steps between evaluations; the best model is kept. 0: only at the end of a stage.",
    )
    best: str | None = Field(
        default=None,
        description="The metric whose mean over groups decides which model is the best; by default the first of lpips, "
        "kernel and l1 that the weights and the data allow.",
    )
    metrics: tuple[str, ...] | None = Field(
        default=None,
        description="Metrics by name, with commas between them; by default all that weights and data allow.",
    )


class RunConfig(Options):
    """All options of a run, as in ``run.toml``.

    The component sections hold a ``name`` and the options of that component; ``loss`` holds one table per term, and
    ``metric`` one per metric with non-default options.
    """

    preset: Literal["quick", "paper"] = Field("quick", description="Sizes and steps to start from.")
    size: int = Field(64, ge=16, description="Side of the training images in pixels.")
    batch_size: int = Field(4, ge=1, description="Samples in a step of the base stage, or in each of its sub-steps.")
    accumulate: int = Field(1, ge=1, description="Sub-steps whose gradients are averaged before each optimizer step.")
    steps: int = Field(500, ge=0, description="Steps of the base stage.")
    transfer_steps: int | None = Field(None, ge=0, description="Steps of the transfer; a third of --steps by default.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of weights, sampling and augmentation.")
    device: str = Field("auto", description="auto, cpu, cuda or mps.")
    precision: Literal["32", "bf16"] = Field("32", description="Arithmetic: full, or bfloat16 autocast.")
    memory: Literal["normal", "low"] = Field(
        "normal", description="low: compute activations again for the backward pass instead of keeping them; slower."
    )
    compile: bool = Field(
        False, description="Compile parts of the networks where that saves time; compiling takes minutes at the start."
    )
    threads: int = Field(0, ge=0, description="CPU threads; 0 tries one and all cores, and takes the faster.")
    processes: int = Field(
        1, ge=1, le=MOST_PROCESSES, description="Processes of this host that share the training, as under torchrun."
    )
    on_nan: Literal["stop", "rollback"] = Field(
        "stop",
        description="When a loss or weight is NaN or infinite: stop, or resume from the last saved state with half "
        f"the learning rate, up to {MOST_ROLLBACKS} times per stage.",
    )
    checkpoint_every: int = Field(200, ge=1, description="Steps between saves of the training state.")
    keep_every: int = Field(0, ge=0, description="Steps between models that are kept in RUN/steps; 0 keeps none.")
    sample_every: int = Field(200, ge=1, description="Steps between sample grids.")
    log: Literal["none", "tensorboard"] = Field(
        "none", description="Where losses, scores and grids go in addition to the run's files."
    )
    flip: bool | None = Field(
        None,
        description="Mirror half of the training images; by default as the data set says, mostly yes. Switch "
        "off for writing and the like.",
    )
    crop_margin: float = Field(
        CROP_MARGIN,
        ge=LEAST_MARGIN,
        le=MOST_MARGIN,
        description="Images are resized to this many times --size, then cropped at random.",
    )
    augment: Literal["none", "diffaugment", "few-shot", "ada"] = Field(
        "none",
        description="Change what discriminators see: none; diffaugment, always; few-shot, always but for the base "
        "group; or ada, as often as overfitting requires.",
    )
    ada_target: float = Field(
        0.6, gt=-1, lt=1, description="With ada: how sure discriminators may be of real images, from -1 to 1."
    )
    ada_rise: float = Field(
        0.25, gt=0, description="With ada: share of a stage's steps in which the probability can rise from 0 to 1."
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of the average of the generators' weights, which is saved; 0: no average."
    )
    extra_groups: tuple[str, ...] | None = Field(
        None, description="Groups of plugins that join the data; by default those that extend the data set."
    )
    stages: tuple[Literal["base", "transfer"], ...] = Field(("base", "transfer"), description="What to train.")
    base_model: str | None = Field(None, description="The model to start from, a .safetensors file.")
    added: AddedGroup | None = Field(None, description="The one group to add to that model.")
    backbone: Section = Field(default_factory=dict)
    generator: Section = Field(default_factory=dict)
    discriminator: Section = Field(default_factory=dict)
    loss: dict[str, Section] = Field(default_factory=dict)
    evaluate: Evaluating = Evaluating()
    metric: dict[str, Section] = Field(default_factory=dict)
    transfer: Section = Field(default_factory=dict)
    data: Section = Field(default_factory=dict)

    @property
    def steps_of_transfer(self) -> int:
        """Steps of the second stage."""
        return self.steps // 3 if self.transfer_steps is None else self.transfer_steps

    def steps_of(self, stage: str) -> int:
        """Steps of a stage."""
        return self.steps if stage == "base" else self.steps_of_transfer
