"""Writing a model with changed groups, and one small file per group."""

from __future__ import annotations

import shutil
from pathlib import Path

from i2i.groups.stored import StoredModel, export
from i2i.storage.files import inside, whole_file
from i2i.storage.locks import locked
from i2i.storage.run_folder import (
    BASE_FILE,
    CONFIG_FILE,
    GROUPS,
    LOCK_FILE,
    MODEL_FILE,
    claim,
    model_file,
)
from i2i.storage.tensor_file import write


def keep(model: StoredModel, source: Path, out: Path | None = None, overwrite: bool = False) -> Path:
    """Write a model with changed groups to a new run folder or over the old model; return its file.

    Existing group files are kept, even that of a removed group, so that none is lost.

    Args:
        model: The model.
        source: The run folder or file of the old model.
        out: The new folder, which also gets the run's configuration and base model; None overwrites ``source``.
        overwrite: Replace the contents of ``out``.

    Raises:
        ConfigError: ``out`` holds something else, or another command is running in the folder.
        DataError: The folder cannot be written to.
    """
    file = model_file(source)
    folder = file.parent if out is None else out
    if out is not None:
        claim(out, overwrite, str(file))
        _copy(file.parent, out)
    with locked(folder / LOCK_FILE):
        if out is not None or source.is_dir():
            write_groups(model, folder)
        target = file if out is None else out / MODEL_FILE
        write(target, model.tensors, model.description.content())
    return target


def write_groups(model: StoredModel, folder: Path) -> None:
    """Write one small file per group into a run folder, without discriminators, if groups share a trunk."""
    for group in model.groups if model.ownership.templates and model.ownership.shared else ():
        export(model, group, inside(folder, f"{GROUPS}/{group}.safetensors"), judges=False)


def _copy(source: Path, folder: Path) -> None:
    """Copy the other files needed to open and resume a run."""
    for name in (CONFIG_FILE, BASE_FILE):
        if (source / name).is_file():
            with whole_file(folder / name) as temporary:
                shutil.copyfile(source / name, temporary)
