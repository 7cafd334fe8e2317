"""Files of torch: plain tensors are read, and whatever would take more memory than the file holds is refused."""

from __future__ import annotations

import os
import pickle
import zipfile

import pytest
import torch

from i2i.errors import CheckpointError
from i2i.storage.torch_file import read_torch_file
from tests.wording import refused

HUGE = 2**40
SIZES = r"\d+ bytes|(?<=unpack to )\d+"
"""What depends on the version of torch in a message."""


def test_nested_tensors_are_read(tmp_path):
    path = tmp_path / "x.pth"
    for legacy in (False, True):
        torch.save({"a": {"b": [torch.ones(3)]}, "n": 1}, path, _use_new_zipfile_serialization=not legacy)
        assert torch.equal(read_torch_file(path)["a"]["b"][0], torch.ones(3))


@pytest.mark.parametrize(
    ("tensor", "named"),
    [
        (lambda: torch.zeros(3, device="meta"), "meta"),
        (lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8), "quantised"),
        (lambda: torch.eye(3).to_sparse(), "sparse_coo"),
        (lambda: torch.zeros(1).expand(HUGE), HUGE * 4),
        (lambda: [torch.zeros(2**20)] * 10, 40 * 2**20),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of quantised tensors
def test_tensors_without_plain_values_are_refused(tmp_path, tensor, named):
    path = tmp_path / "x.pth"
    torch.save({"a": {"b": tensor()}}, path)
    with refused(CheckpointError, path, named, varies=SIZES):
        read_torch_file(path)


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    path, bomb = tmp_path / "x.pth", tmp_path / "bomb.pth"
    torch.save({"a": torch.zeros(2**20)}, path)
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in whole.namelist():
            packed.writestr(name, whole.read(name))
    with refused(CheckpointError, bomb, bomb.stat().st_size, varies=SIZES):
        read_torch_file(bomb)


@pytest.mark.parametrize("part", [b"PK\x01\x02", b"PK\x03\x04"])
def test_a_damaged_archive_is_named(tmp_path, part):
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(3)}, path)
    path.write_bytes(path.read_bytes().replace(part, b"PK\0\0"))
    with refused(CheckpointError, path):
        read_torch_file(path)


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_code_is_not_run(tmp_path, protocol):
    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps({"a": Evil()}, protocol))
    with refused(CheckpointError, path):
        read_torch_file(path)


def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with refused(CheckpointError, tmp_path / "pipe.pth", "pipe"):
        read_torch_file(tmp_path / "pipe.pth")
