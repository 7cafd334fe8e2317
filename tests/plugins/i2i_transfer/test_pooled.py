from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from i2i.config.options import merge
from i2i.hooks import hookimpl
from i2i.runs.run import create_run
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


def test_joint_draws_the_new_groups():
    assert Joint(Joint.Config(samples=1), "woman", ["man", "kid"]).draw(4, RNG) == [("man", "kid")]


def test_mixed_draws_each_group_as_often_as_two_stages_do():
    mixed, rng = Mixed(Mixed.Config(), "woman", ["man", "kid", "elderly"]), np.random.default_rng(0)
    drawn = [group for _ in range(1200) for groups in mixed.draw(4, rng) for group in groups]
    joint = Joint(Joint.Config(), "woman", ["man", "kid", "elderly"])
    two_stages = Counter({"woman": 900 * 4 + 300 * 2}) + Counter(300 * joint.draw(4, rng)[0])
    assert Counter(drawn).total() == two_stages.total() == 6000
    assert all(abs(Counter(drawn)[group] - seen) < 100 for group, seen in two_stages.items())


def test_every_sample_counts_alike():
    losses = {"one": torch.tensor([1.0, 3.0, 7.0]), "two": torch.tensor([0.0, 0.0, 1.0])}
    mixed = Mixed(Mixed.Config(), "woman", ["man", "kid"])
    mixed.prepare({"generator": torch.nn.Linear(1, 1)})
    (route,) = mixed.route("generator", ("man", "man", "kid"), losses)
    assert route.loss.item() == pytest.approx((1 + 3 + 8) / 3)


@pytest.mark.parametrize(("transfer", "steps", "afresh"), [("mixed", 2 + 1, True), ("joint", 1, False)])
def test_mixed_starts_from_scratch_with_the_steps_of_both_stages(tiny, registry, tmp_path, transfer, steps, afresh):
    given = merge(tiny, {"transfer": {"name": transfer}, "steps": 2, "transfer_steps": 1})
    watcher = Watcher()
    run = create_run(tmp_path / "run", given, registry)
    run.execute([watcher])
    (_, _, start), (taken, samples, second) = watcher.starts["base"], watcher.starts["transfer"]
    assert (taken, samples) == (steps, 3 if transfer == "mixed" else 4)
    base = next(run.base_model().backbone.generators.parameters())
    assert torch.equal(second, start if afresh else base)
    assert not torch.equal(start, base)


def test_a_model_trained_from_scratch_is_gone_on_with(tiny, registry, tmp_path):
    """Where the model to start from has its groups already, its weights are the start."""
    given = merge(tiny, {"transfer": {"name": "mixed"}, "steps": 1, "transfer_steps": 1})
    first = create_run(tmp_path / "first", given, registry)
    first.execute()
    again = merge(given, {"stages": ["transfer"], "base_model": str(tmp_path / "first" / "model.safetensors")})
    watcher, second = Watcher(), create_run(tmp_path / "second", again, registry)
    second.execute([watcher])
    taken, _, start = watcher.starts["transfer"]
    assert taken == 1
    assert torch.equal(start, next(first.model.backbone.generators.parameters()))
