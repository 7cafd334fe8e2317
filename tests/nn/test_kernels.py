"""How the kernels are built, and that they say no where they do not apply."""

from __future__ import annotations

import os
import shutil
import threading

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from i2i.nn import kernels
from i2i.nn.norms import LayerInstanceNorm
from i2i.nn.padding import reflect
from i2i.storage.caches import cache_folder

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture
def unbuilt(monkeypatch, tmp_path):
    """A machine whose cache holds no kernels yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kernels._library.cache_clear()
    yield
    kernels._library.cache_clear()


@needs_compiler
def test_they_are_compiled_once_and_leave_nothing_behind(unbuilt):
    assert kernels.have_kernels_for(torch.zeros(1))
    (library,) = (cache_folder() / "kernels").iterdir()
    before = library.stat()
    kernels._library.cache_clear()
    assert kernels.have_kernels_for(torch.zeros(1))
    assert library.stat() == before


@needs_compiler
def test_processes_that_build_together_do_not_disturb_one_another(unbuilt):
    threads = [threading.Thread(target=kernels._library.__wrapped__) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list((cache_folder() / "kernels").iterdir())) == 1
    assert kernels.have_kernels_for(torch.zeros(1))


@pytest.mark.parametrize(
    ("name", "value"), [("CC", "/nonexistent/cc"), ("CC", "false"), (kernels.DISABLE_KERNELS, "1")]
)
def test_without_them_torchs_operations_serve(unbuilt, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    x = torch.randn(1, 2, 4, 4)
    assert not kernels.have_kernels_for(x)
    assert torch.equal(reflect(x, 1), torch.nn.ReflectionPad2d(1)(x))


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owners")
def test_code_from_a_folder_of_somebody_else_is_not_loaded(unbuilt, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert not kernels.have_kernels_for(torch.zeros(1))


@needs_compiler
def test_they_refuse_what_they_cannot_compute():
    with FakeTensorMode():
        assert not kernels.have_kernels_for(torch.zeros(1))
    assert not kernels.have_kernels_for(torch.zeros(1, device="meta"))
    assert not kernels.have_kernels_for(torch.zeros(1, dtype=torch.double))
    assert kernels.have_kernels_for(torch.nn.Parameter(torch.zeros(1)))


@needs_compiler
def test_the_number_of_threads_changes_no_bit():
    torch.manual_seed(0)
    norm, x = LayerInstanceNorm(40, 0.4, affine=True), torch.randn(2, 40, 33, 33, requires_grad=True)
    assert x.numel() > 65536  # fewer are computed by one thread
    weights, results, threads = torch.randn(2, 40, 35, 35), [], torch.get_num_threads()
    matrices, u, us, vs, sigmas = (torch.randn(2, *shape) for shape in ((300, 301), (300,), (3, 300), (3, 301), (3,)))
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        y = reflect(norm(x), 1)
        kernels.call("power_iteration", matrices, u, us, vs, sigmas, *matrices.shape, 3)
        iterated = (us.clone(), vs.clone(), sigmas.clone())
        results.append((y, *torch.autograd.grad(y, (x, *norm.parameters()), weights), *iterated))
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
