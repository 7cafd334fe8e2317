from __future__ import annotations

from i2i.runs import checks
from tests.wording import mentions

TINY = ["--size=32", "--batch-size=2", "--steps=1", "--device=cpu", "--backbone=cyclegan", "--backbone.channels=4",
        "--generator.blocks=1", "--evaluate.metrics=l1", "--log=tensorboard"]  # fmt: skip


def test_events_land_in_the_run_folder(i2i, folder_root, out):
    assert i2i("train", *TINY, "--data", folder_root, "--out", out).status == 0
    assert [path.name.split(".")[0] for path in (out / "logs" / "base").iterdir()] == ["events"]


def test_without_the_extra_nothing_is_written(refused, folder_root, out, monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    mentions(
        refused("train", *TINY, "--data", folder_root, "--out", out),
        "--log tensorboard",
        "pip install 'i2i[tensorboard]'",
    )
    assert not out.exists()
