"""Pickles may hold arrays, and nothing that runs."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from i2i.errors import WeightsError
from i2i_features.pickles import read_arrays
from tests.wording import refused


class Evil:
    def __reduce__(self):
        return os.system, ("touch pwned",)


@pytest.fixture
def pickled(tmp_path):
    def call(held, protocol=4):
        (tmp_path / "net.ckpt").write_bytes(held if isinstance(held, bytes) else pickle.dumps(held, protocol))
        return tmp_path / "net.ckpt"

    return call


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_are_read(pickled, protocol) -> None:
    held = {"Conv_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, "names": ["a", 1, None]}
    read = read_arrays(pickled(held, protocol))
    np.testing.assert_array_equal(read["Conv_0"]["kernel"], held["Conv_0"]["kernel"])
    assert read["names"] == held["names"]


def test_arrays_of_numpy_1_are_read(pickled) -> None:
    held = pickle.dumps(np.ones(3, np.float32), 3).replace(b"numpy._core", b"numpy.core")
    np.testing.assert_array_equal(read_arrays(pickled(held)), np.ones(3))


@pytest.mark.parametrize(
    ("held", "name"),
    [
        (Evil(), f"{os.system.__module__}.system"),
        ({"deep": [np.ones(2), Evil()]}, f"{os.system.__module__}.system"),
        (print, "builtins.print"),
        (np.array([Evil()], dtype=object), f"{os.system.__module__}.system"),
        (b"cnumpy\nload\n(Vnet.npy\ntR.", "numpy.load"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "numpy.ndarray.tofile"),
    ],
)
def test_anything_else_is_refused_by_name(pickled, tmp_path, monkeypatch, held, name) -> None:
    monkeypatch.chdir(tmp_path)
    with refused(WeightsError, tmp_path / "net.ckpt", name):
        read_arrays(pickled(held))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("held", [b"", b"not a pickle", pickle.dumps({"kernel": np.ones(9)}, 4)[:-20]])
def test_a_damaged_pickle(pickled, held) -> None:
    with refused(WeightsError, "net.ckpt"):
        read_arrays(pickled(held))
