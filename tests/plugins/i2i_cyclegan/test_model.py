from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from i2i_cyclegan.discriminators import PatchDiscriminator
from i2i_cyclegan.model import CycleGAN
from i2i_cyclegan.networks import ResnetGenerator
from i2i_cyclegan.pool import ImagePool


def model(**options: int) -> CycleGAN:
    generator = ResnetGenerator.Config(size=16, channels=2, blocks=1)
    discriminator = PatchDiscriminator.Config(size=16, channels=2)
    return CycleGAN(
        CycleGAN.Config(**options),
        {"a2b": ResnetGenerator(generator), "b2a": ResnetGenerator(generator)},
        {"a": PatchDiscriminator(discriminator), "b": PatchDiscriminator(discriminator)},
    )


def fakes(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 2, 2).contiguous()


def values(images: Tensor) -> list[float]:
    return images[:, 0, 0, 0].tolist()


def test_published_defaults() -> None:
    config = CycleGAN.Config()
    assert (config.lr, config.betas, config.weight_decay, config.pool_size) == (2e-4, (0.5, 0.999), 0.0, 50)
    assert CycleGAN.first == "generator"


def test_learning_rate_is_constant_then_falls_to_zero() -> None:
    factors = [model().lr_factor(step, 200) for step in (0, 99, 100, 150, 199)]
    assert factors == pytest.approx([1, 1, 1, 0.5, 0.01])


def test_pool_returns_every_fake_until_it_is_full() -> None:
    pool = ImagePool(4)
    assert values(pool.query("b", fakes(1, 2), ("woman",) * 2)) == [1, 2]
    assert values(pool.query("b", fakes(3, 4), ("woman",) * 2)) == [3, 4]
    assert values(pool.state()["b/woman"]) == [1, 2, 3, 4]


def test_full_pool_swaps_half_of_the_fakes() -> None:
    pool = ImagePool(8)
    pool.query("a", fakes(*[-1] * 8), ("woman",) * 8)
    new = [float(i) for i in range(400)]
    returned = [values(pool.query("a", fakes(value), ("woman",)))[0] for value in new]
    kept = sum(old == value for old, value in zip(returned, new, strict=True))
    assert 160 < kept < 240
    everything = sorted([-1.0] * 8 + new)
    assert sorted(returned + values(pool.state()["a/woman"])) == everything  # none is lost, none is doubled


def test_pool_draws_from_torchs_global_generator() -> None:
    def draw() -> list[float]:
        torch.manual_seed(7)
        pool = ImagePool(2)
        return [v for i in range(20) for v in values(pool.query("a", fakes(i), ("woman",)))]

    assert draw() == draw()


def test_groups_and_domains_have_their_own_pools() -> None:
    pool = ImagePool(2)
    for step in range(50):
        mixed = pool.query("a", fakes(step, 1000 + step), ("wo-man", "kid_1"))
        other = pool.query("b", fakes(-1 - step), ("kid_1",))
        assert [value >= 1000 for value in values(mixed)] == [False, True]
        assert values(other)[0] < 0
    assert {key: tuple(images.shape) for key, images in pool.state().items()} == {
        "a/wo-man": (2, 3, 2, 2), "a/kid_1": (2, 3, 2, 2), "b/kid_1": (2, 3, 2, 2),
    }  # fmt: skip


def test_pool_keeps_no_view_of_the_batch() -> None:
    pool, batch = ImagePool(1), fakes(1)
    pool.query("a", batch, ("woman",))
    batch.zero_()
    assert values(pool.state()["a/woman"]) == [1]


def test_pool_of_size_zero_returns_the_fakes_untouched() -> None:
    network, batch = model(pool_size=0), fakes(1, 2)
    assert network.remember("a", batch, ("woman",) * 2) is batch
    assert network.training_state() == {}


def test_training_state_goes_on_exactly() -> None:
    old, new = model(pool_size=3), model(pool_size=3)
    for step in range(5):
        old.remember("a", torch.randn(2, 3, 4, 4) + step, ("woman", "wo_man-2"))
    new.load_training_state(load(save(old.training_state())))
    assert old.training_state().keys() == {"pool/a/woman", "pool/a/wo_man-2"}
    state, batches = torch.get_rng_state(), torch.randn(10, 2, 3, 4, 4)
    futures = []
    for network in (old, new):
        torch.set_rng_state(state)
        futures.append([network.remember("a", batch, ("woman", "wo_man-2")) for batch in batches])
    assert all(torch.equal(one, other) for one, other in zip(*futures, strict=True))
    assert all(torch.equal(new.training_state()[key], value) for key, value in old.training_state().items())
