"""Safe reader of pickled numpy arrays: no code from the pickle is run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from i2i import WeightsError

ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
"""The only names that pickled arrays need; numpy 2 moved the first."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise WeightsError(f"it needs {module}.{name}, which could run anything")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_arrays(path: Path) -> Any:
    """Read the dicts, lists and numpy arrays of a pickle.

    Raises:
        WeightsError: It is damaged, or needs anything other than numpy arrays.
    """
    try:
        with path.open("rb") as file:
            return _ArraysOnly(file).load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise WeightsError(f"{path} is not read: {error}. Get the file again, from where it is published.") from error
