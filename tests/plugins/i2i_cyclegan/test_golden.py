"""The first training iteration of pytorch-CycleGAN-and-pix2pix, reproduced from its own checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from i2i import Registry
from i2i.contracts.domains import Batch
from i2i.contracts.loss import Loss, Passes
from i2i_cyclegan.checkpoint import PytorchCycleGAN
from i2i_cyclegan.discriminators import PatchDiscriminator
from i2i_cyclegan.model import CycleGAN
from i2i_cyclegan.networks import ResnetGenerator
from i2i_losses.terms import Adversarial, Cycle, Identity
from tests import shared

CHANNELS = 4
GROUPS = ("woman", "woman")
NETWORKS = {"G_A": ("generators", "a2b"), "G_B": ("generators", "b2a"),
            "D_A": ("discriminators", "b"), "D_B": ("discriminators", "a")}  # fmt: skip


@pytest.fixture(scope="module", params=[6, 9])
def blocks(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def golden(blocks: int) -> dict[str, Tensor]:
    return load_file(shared.golden(f"cyclegan_resnet_{blocks}blocks.golden.safetensors"))


@pytest.fixture
def model(blocks: int) -> CycleGAN:
    generator = ResnetGenerator.Config(size=64, channels=CHANNELS, blocks=blocks)
    discriminator = PatchDiscriminator.Config(size=64, channels=CHANNELS)
    model = CycleGAN(
        CycleGAN.Config(),
        {direction: ResnetGenerator(generator) for direction in ("a2b", "b2a")},
        {domain: PatchDiscriminator(discriminator) for domain in ("a", "b")},
    )
    paths = {theirs: shared.golden(f"cyclegan_resnet_{blocks}blocks_latest_net_{theirs}.pth") for theirs in NETWORKS}
    parts = {theirs: torch.load(path, weights_only=True) for theirs, path in paths.items()}
    model.load_state_dict(PytorchCycleGAN(Registry()).read(parts, 64).tensors)
    return model


def network_of(model: CycleGAN, theirs: str) -> Any:
    kind, key = NETWORKS[theirs]
    return getattr(model, kind)[key]


def stock_losses() -> dict[str, Loss]:
    classes: list[type[Loss]] = [Adversarial, Cycle, Identity]
    tables = {name: v if isinstance(v, dict) else {"weight": v} for name, v in CycleGAN.objective.items()}
    assert set(tables) == {loss.name for loss in classes}
    return {loss.name: loss(loss.Config(**tables[loss.name])) for loss in classes}


def run_passes(model: CycleGAN, golden: dict[str, Tensor], losses: dict[str, Loss]) -> Passes:
    batch = Batch({"a": golden["input/real_A"], "b": golden["input/real_B"]}, GROUPS)
    needs = frozenset[str]().union(*(loss.needs for loss in losses.values()))
    return model.passes(batch, needs, ["woman"])


def weighted_means(side: str, passes: Passes, losses: dict[str, Loss]) -> dict[str, Tensor]:
    terms = {name: getattr(loss, side)(passes) for name, loss in losses.items()}
    return {name: losses[name].config.weight * term.mean() for name, term in terms.items() if term is not None}


def backward(total: Tensor, networks: nn.ModuleDict) -> None:
    total.backward(inputs=list(networks.parameters()))


def assert_gradients(model: CycleGAN, golden: dict[str, Tensor], side: str, theirs: Iterable[str]) -> None:
    for name in theirs:
        network = network_of(model, name)
        gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
        for ours, key in network.published_keys().items():
            gradient = gradients[ours]
            desired = golden[f"step1/gradnorm/{side}/{name}.{key}"].item()
            # The bias before a norm has no gradient: both sides hold rounding noise there.
            assert gradient.norm().item() == pytest.approx(desired, rel=1e-3, abs=1e-5), f"{name}.{key}"


def test_translations(model: CycleGAN, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        fake_b = model.translate(golden["input/real_A"])
        fake_a = model.translate(golden["input/real_B"], "b2a")
    torch.testing.assert_close(fake_b, golden["eval/fake_B"], rtol=0, atol=1e-5)
    torch.testing.assert_close(fake_a, golden["eval/fake_A"], rtol=0, atol=1e-5)


def test_verdicts(model: CycleGAN, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        of_b = model.verdict("b", golden["input/real_B"], GROUPS).logits[0]
        of_a = model.verdict("a", golden["input/real_A"], GROUPS).logits[0]
    torch.testing.assert_close(of_b, golden["eval/D_A(real_B)"], rtol=0, atol=1e-5)
    torch.testing.assert_close(of_a, golden["eval/D_B(real_A)"], rtol=0, atol=1e-5)


def test_generators_side(model: CycleGAN, golden: dict[str, Tensor]) -> None:
    losses = stock_losses()
    passes = run_passes(model, golden, losses)
    model.judge(passes, "generator")
    actual = weighted_means("generator", passes, losses)
    published = {"adversarial": ("G_A", "G_B"), "cycle": ("cycle_A", "cycle_B"), "identity": ("idt_A", "idt_B")}
    for name, theirs in published.items():
        desired = sum(golden[f"step1/loss/{key}"].item() for key in theirs)
        assert actual[name].item() == pytest.approx(desired, rel=1e-4)
    backward(torch.stack(list(actual.values())).sum(), model.generators)
    assert_gradients(model, golden, "G", ["G_A", "G_B"])


def test_discriminators_side(model: CycleGAN, golden: dict[str, Tensor]) -> None:
    losses = stock_losses()
    passes = run_passes(model, golden, losses)
    model.judge(passes, "discriminator")
    actual = weighted_means("discriminator", passes, losses)
    desired = golden["step1/loss/D_A"].item() + golden["step1/loss/D_B"].item()
    assert list(actual) == ["adversarial"]
    assert actual["adversarial"].item() == pytest.approx(desired, rel=1e-4)
    backward(actual["adversarial"], model.discriminators)
    assert_gradients(model, golden, "D", ["D_A", "D_B"])
    assert all(parameter.grad is None for parameter in model.generators.parameters())
