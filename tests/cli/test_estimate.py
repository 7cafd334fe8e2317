"""``i2i estimate``."""

from __future__ import annotations

import json

from tests.cli.conftest import TINY
from tests.wording import check_line

FIGURES = r"\b\d[\d.e-]* (s|min|h|MiB|GiB)\b"


def test_estimate_takes_the_options_of_run_and_writes_nothing(i2i, folder_root, out):
    result = i2i("estimate", *TINY, "--data", folder_root, "--out", out, "--overwrite")
    assert result.status == 0, result
    check_line(result.out, "base", "parameters", "3 steps", varies=FIGURES)
    check_line(result.out, "transfer", "parameters", "2 steps", varies=FIGURES)
    check_line(result.out, "total", "peak memory", varies=FIGURES)
    assert not out.exists()


def test_estimate_as_json(i2i, folder_root):
    result = i2i("estimate", *TINY, "--data", folder_root, "--json")
    content = json.loads(result.out)
    assert result.status == 0, result
    assert [(one["name"], one["steps"]) for one in content["stages"]] == [("base", 3), ("transfer", 2)]
    assert content["stages"][0]["parameters"]["generators"] > 0
    assert content["seconds"] == sum(one["seconds"] for one in content["stages"]) > 0
    assert 0 < content["peak_bytes"] < content["available_bytes"]


def test_estimate_of_a_transfer_from_a_model(i2i, trained):
    result = i2i("estimate", trained)
    assert result.status == 0, result
    assert "base: " in result.out
