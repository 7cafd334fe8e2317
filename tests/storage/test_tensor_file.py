"""Tensor files: what is written is read, and damage anywhere is noticed."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from i2i.errors import CheckpointError
from i2i.storage.tensor_file import KEY, TensorFile, find_broken, is_finite, read, write
from tests.wording import refused

TENSORS = {
    "real": torch.linspace(-1, 1, 12).reshape(3, 4),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "mask": torch.tensor([True, False]),
    "nothing": torch.zeros(0, 3),
}
CONTENT = {"name": "x", "nested": {10: 1.5, 9: [1, None]}, "tuple": (1, 2)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("tensors") / "file.safetensors"
    write(path, TENSORS, CONTENT)
    return path


def test_what_was_written_is_read(written, caplog):
    tensors, content = read(written)
    assert content == {"format": 1, **json.loads(json.dumps(CONTENT))}
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], one) and tensors[name].dtype == one.dtype for name, one in TENSORS.items())
    assert not caplog.records


def test_the_same_tensors_make_the_same_bytes(written, tmp_path):
    again = tmp_path / "again.safetensors"
    write(again, *read(written))
    assert again.read_bytes() == written.read_bytes()


@given(st.data())
def test_a_changed_byte_is_noticed_wherever_it_is(written, tmp_path_factory, data):
    whole = bytearray(written.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(whole)
    try:
        tensors, content = read(path)
    except CheckpointError:
        return
    # blanks of the header, or the key of the digests: nothing that is used
    assert content == read(written)[1] or "sha256" not in json.dumps(content)
    assert all(torch.equal(tensors[name], one) for name, one in TENSORS.items())


def test_only_what_is_read_is_checked(written, tmp_path):
    whole = bytearray(written.read_bytes())
    whole[whole.index(TENSORS["real"].numpy().tobytes())] ^= 1
    path = tmp_path / "changed.safetensors"
    path.write_bytes(whole)
    file = TensorFile(path)
    assert torch.equal(file["half"], TENSORS["half"])
    with refused(CheckpointError, path, "real"):
        file["real"]


def test_a_file_without_digests_is_read_with_a_note(tmp_path, caplog):
    path = tmp_path / "old.safetensors"
    save_file({"x": torch.ones(2)}, path, {KEY: json.dumps({"format": 1})})
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert torch.equal(read(path)[0]["x"], torch.ones(2))
    assert [record.getMessage().startswith(f"note: {path}") for record in caplog.records] == [True]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_noticed(dtype, odd):
    x = torch.zeros(3, 5, dtype=dtype)
    assert is_finite(x)
    x[1, 2] = odd
    assert not is_finite(x)
    assert find_broken({**TENSORS, "broken": x}) == "broken"
