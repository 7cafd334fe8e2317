from __future__ import annotations

import pytest

from i2i.nn import kernels


@pytest.fixture(scope="session")
def built_kernels() -> None:
    """Skip a test of the kernels in C where they cannot be built."""
    if kernels._library() is None:
        pytest.skip("Without a C compiler there are no kernels.")


@pytest.fixture(params=["kernels", "torch"])
def either_way(request, monkeypatch):
    """Run a test with the kernels in C and with torch's operations."""
    if request.param == "torch":
        monkeypatch.setattr(kernels, "_library", lambda: None)
    else:
        request.getfixturevalue("built_kernels")
