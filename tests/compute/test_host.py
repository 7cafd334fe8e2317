from __future__ import annotations

import torch

from i2i.compute.host import download, upload


def test_what_is_downloaded_keeps_its_values_shapes_and_types():
    tensors = [torch.rand(2, 3, requires_grad=True), torch.rand(4).bfloat16(), torch.rand(()).double(), torch.ones(0)]
    actual = download(tensors)
    assert all(torch.equal(one, other) for one, other in zip(actual, tensors, strict=True))
    assert [one.dtype for one in actual] == [one.dtype for one in tensors]
    assert not any(one.requires_grad for one in actual)


def test_what_stays_on_the_cpu_is_not_copied():
    x = torch.rand(2)
    assert upload(x, None) is x
    assert upload(x, torch.device("cpu")) is x
