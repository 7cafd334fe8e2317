"""Keeping one library from importing another."""

from __future__ import annotations

import importlib
import sys

import pytest

from i2i.compute.imports import hidden


def test_a_hidden_package_looks_missing_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with hidden("this"), pytest.raises(ImportError):
        importlib.import_module("this")
    assert "this" not in sys.modules


def test_an_imported_package_stays() -> None:
    with hidden("json"):
        imported = importlib.import_module("json")
    assert sys.modules["json"] is imported
