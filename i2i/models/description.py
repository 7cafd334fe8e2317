"""The description in a model's file: everything except the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from i2i.config.options import GroupName
from i2i.errors import CheckpointError
from i2i.storage.run_folder import MODEL_FILE
from i2i.storage.tensor_file import Description, TensorFile


class PartDescription(Description):
    """A component's name and options."""

    name: str


class TrainedConfig(Description):
    """The options a model was built and trained with: part of a run's configuration."""

    size: int
    backbone: PartDescription
    generator: PartDescription
    discriminator: PartDescription
    transfer: PartDescription | None = None


class BestScore(Description):
    """The step and score of a stage's best model.

    Attributes:
        stage: The stage.
        metric: The deciding metric.
        value: Its mean over groups.
        step: The step that reached it.
        higher_is_better: Whether higher values of the metric are better.
        groups: The scored groups.
    """

    stage: str
    metric: str
    value: float
    step: int = 0
    higher_is_better: bool = False
    groups: tuple[GroupName, ...] = ()


class LeftOut(Description):
    """A pretrained network that a model's file leaves out, since the machines that train on have its weights.

    Attributes:
        path: Its path in the model, such as ``discriminators.a.trunk``.
        title: The network and the source of its weights.
        sha256: Digest of its weights.
    """

    path: str
    title: str
    sha256: str

    def holds(self, name: str) -> bool:
        """Return whether a tensor of the model belongs to the network."""
        return name.startswith(f"{self.path}.")


class ModelDescription(Description):
    """The description in a model's file.

    Attributes:
        base: The data-rich group.
        groups: The groups other than the base.
        config: Components and options.
        version: The version of i2i that wrote it.
        providers: Kind of component to name and version of its distribution.
        best: The score, if this is the best model of a stage.
        left_out: The pretrained networks whose weights the file leaves out.
    """

    base: GroupName
    groups: tuple[GroupName, ...]
    config: TrainedConfig
    version: str = ""
    providers: dict[str, str] = {}
    best: BestScore | None = None
    left_out: tuple[LeftOut, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Refuse two groups of one name, of which one would replace the other."""
        names = (self.base, *self.groups)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two groups are called '{twice[0]}'")
        return self

    def complete(self) -> Self:
        """Return the description of the same model in a file that leaves nothing out."""
        content = {name: value for name, value in self.content().items() if name != "left_out"}
        return type(self).model_validate(content)

    @property
    def makers(self) -> str:
        """The distributions the model was built with."""
        return ", ".join(sorted(set(self.providers.values()))) or "other plugins"

    @property
    def structure(self) -> dict[str, Any]:
        """The options that determine the model's networks, not how they are trained."""
        config = self.config
        kinds = {"backbone": config.backbone, "discriminator": config.discriminator, "transfer": config.transfer}
        names = {kind: part.name for kind, part in kinds.items() if part is not None}
        return {"base": self.base, "size": config.size, **names, "generator": config.generator.content()}


def described(file: TensorFile) -> ModelDescription:
    """Return the description of the model in an open file.

    Raises:
        CheckpointError: The file is not a model, or its description is damaged.
    """
    content = file.content
    if "group" in content:
        raise CheckpointError(
            f"{file.path} holds the group '{content['group']}' alone. Put it into a model: i2i groups attach."
        )
    if not {"base", "groups", "config"} & content.keys():
        raise CheckpointError(
            f"{file.path} holds the state of a training, no model. Name its run folder or {MODEL_FILE}."
        )
    return ModelDescription.of(content, file.path)


def read_model_description(path: Path) -> ModelDescription:
    """Read the description in a model's file.

    Raises:
        CheckpointError: The file is missing, damaged, or not a model.
    """
    return described(TensorFile(path))
