"""Command lines, run in the process of the tests."""

from __future__ import annotations

import pytest

from i2i import cli


def call(*arguments: object) -> None:
    """Run a command line, which must succeed."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    assert not stop.value.code
