from __future__ import annotations

import numpy as np
import pytest
import torch

from i2i.config import merge
from i2i.hookspecs import hookimpl
from i2i.run import create
from i2i_transfer.pooled import Joint, Mixed

RNG = np.random.default_rng(0)


class Watcher:
    """Notes how each stage starts."""

    def __init__(self) -> None:
        self.starts = {}

    @hookimpl
    def on_train_start(self, run):
        first = next(run.model.backbone.generators.parameters())
        self.starts[run.stage] = (run.steps, run.samples_per_step, first.detach().clone())


def test_mixed_draws_every_group_and_joint_the_new_ones():
    drawn = Mixed(Mixed.Config(), "woman", ["man", "kid"]).draw(4, RNG)
    assert [sorted(groups) for groups in drawn] == [["kid", "kid", "man", "man", "woman", "woman"]]
    drawn = Joint(Joint.Config(samples=1), "woman", ["man", "kid"]).draw(4, RNG)
    assert drawn == [("man", "kid")]


def test_every_group_counts_alike_however_many_samples_it_has():
    losses = {"one": torch.tensor([1.0, 3.0, 7.0])}
    (route,) = Joint(Joint.Config(), "woman", ["man", "kid"]).route(
        torch.nn.Linear(1, 1), ("man", "man", "kid"), losses
    )
    assert route.loss.item() == pytest.approx((2 + 7) / 2)


@pytest.mark.parametrize(("transfer", "steps", "afresh"), [("mixed", 2 + 1, True), ("joint", 1, False)])
def test_mixed_starts_from_scratch_with_the_steps_of_both_stages(tiny, registry, tmp_path, transfer, steps, afresh):
    given = merge(tiny, {"transfer": {"name": transfer}, "steps": 2, "transfer_steps": 1})
    watcher = Watcher()
    run = create(tmp_path / "run", given, registry)
    run.execute([watcher])
    (_, _, start), (taken, samples, second) = watcher.starts["base"], watcher.starts["transfer"]
    assert (taken, samples) == (steps, 6 if transfer == "mixed" else 4)
    base = next(run.base_model().backbone.generators.parameters())
    assert torch.equal(second, start if afresh else base)
    assert not torch.equal(start, base)


def test_a_model_trained_from_scratch_is_gone_on_with(tiny, registry, tmp_path):
    """Where the model to start from has its groups already, its weights are the start."""
    given = merge(tiny, {"transfer": {"name": "mixed"}, "steps": 1, "transfer_steps": 1})
    first = create(tmp_path / "first", given, registry)
    first.execute()
    again = merge(given, {"stages": ["transfer"], "base_model": str(tmp_path / "first" / "model.safetensors")})
    watcher, second = Watcher(), create(tmp_path / "second", again, registry)
    second.execute([watcher])
    taken, _, start = watcher.starts["transfer"]
    assert taken == 1
    assert torch.equal(start, next(first.model.backbone.generators.parameters()))
