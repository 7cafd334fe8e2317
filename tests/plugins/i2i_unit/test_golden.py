"""The first training iteration of UNIT's MUNIT-style release, reproduced from its own checkpoint."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from i2i import Registry
from i2i.contracts.domains import DIRECTION_INTO, DOMAINS, Batch
from i2i.contracts.loss import Loss, Passes
from i2i_losses.terms import Adversarial, Cycle
from i2i_unit.checkpoint import OUT_OF, UNITRelease
from i2i_unit.losses import CycleDivergence, Divergence, Reconstruction
from i2i_unit.model import UNIT
from i2i_unit.networks import MultiscaleDiscriminator, VariationalGenerator
from tests import shared

SIZE, CHANNELS = 64, 4
PUBLISHED = {
    "adversarial": ("gen_adv_a", "gen_adv_b"),
    "cycle": ("gen_cyc_x_a", "gen_cyc_x_b"),
    "reconstruction": ("gen_recon_x_a", "gen_recon_x_b"),
    "kl": ("gen_recon_kl_a", "gen_recon_kl_b"),
    "cycle_kl": ("gen_recon_kl_cyc_aba", "gen_recon_kl_cyc_bab"),
}
LOSSES: list[type[Loss]] = [Adversarial, Cycle, Reconstruction, Divergence, CycleDivergence]


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    return load_file(shared.golden("unit.golden.safetensors"))


@pytest.fixture
def model() -> UNIT:
    options = {"size": SIZE, "channels": CHANNELS}
    config = VariationalGenerator.Config(**options, noise=0)
    model = UNIT(
        UNIT.Config(),
        {direction: VariationalGenerator(config) for direction in ("a2b", "b2a")},
        {domain: MultiscaleDiscriminator(MultiscaleDiscriminator.Config(**options)) for domain in DOMAINS},
    )
    names = ("gen", "dis")
    parts = {part: torch.load(shared.golden(f"unit_{part}_00001000.pt"), weights_only=True) for part in names}
    model.load_state_dict(UNITRelease(Registry()).read(parts, SIZE).tensors)
    return model


@pytest.fixture
def losses() -> dict[str, Loss]:
    tables = {name: v if isinstance(v, dict) else {"weight": v} for name, v in UNIT.objective.items()}
    assert set(tables) == {loss.name for loss in LOSSES}
    return {loss.name: loss(loss.Config(**tables[loss.name])) for loss in LOSSES}


def batch_of(golden: dict[str, Tensor]) -> Batch:
    return Batch({"a": golden["input/real_A"], "b": golden["input/real_B"]}, ("woman", "woman"))


def passes_of(model: UNIT, golden: dict[str, Tensor], losses: dict[str, Loss]) -> Passes:
    needs = frozenset[str]().union(*(loss.needs for loss in losses.values()))
    return model.train().passes(batch_of(golden), needs, ["woman"])


def means(side: str, passes: Passes, losses: dict[str, Loss]) -> dict[str, Tensor]:
    terms = {name: getattr(loss, side)(passes) for name, loss in losses.items()}
    return {name: term.mean() for name, term in terms.items() if term is not None}


def total(terms: dict[str, Tensor], losses: dict[str, Loss]) -> Tensor:
    return torch.stack([losses[name].config.weight * term for name, term in terms.items()]).sum()


def generator_gradients(model: UNIT) -> dict[str, Tensor]:
    found = {}
    for domain in DOMAINS:
        for side, directions in (("enc", OUT_OF), ("dec", DIRECTION_INTO)):
            found |= {
                f"gen_{domain}.{key}": gradient
                for key, gradient in published_gradients(model.generators[directions[domain]]).items()
                if key.startswith(side)
            }
    return found


def published_gradients(network: Any) -> dict[str, Tensor]:
    gradients = {key: parameter.grad for key, parameter in network.named_parameters()}
    return {theirs: gradients[ours] for ours, theirs in network.published_keys().items()}


def assert_norms(side: str, actual: dict[str, Tensor], golden: dict[str, Tensor]) -> None:
    start = f"step1/gradnorm/{side}/"
    desired = {key.removeprefix(start): value.item() for key, value in golden.items() if key.startswith(start)}
    assert actual.keys() == desired.keys()
    # The bias before an instance norm has no gradient: both sides hold rounding noise there, all of it below 1e-5.
    norms = {key: gradient.norm().item() for key, gradient in actual.items()}
    assert norms == pytest.approx(desired, rel=1e-3, abs=1e-5 if side == "G" else 1e-12)


def test_encodings_translations_and_reconstruction(model: UNIT, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        passes = model.eval().passes(batch_of(golden), frozenset({"fake", "latent", "reconstructed"}), ["woman"])
    actual = {
        "h_a": passes.fake["b"].latent,
        "h_b": passes.fake["a"].latent,
        "x_ab": passes.fake["b"].image,
        "x_ba": passes.fake["a"].image,
        "x_a_recon": passes.reconstructed["a"],
    }
    for name, tensor in actual.items():
        torch.testing.assert_close(tensor, golden[f"eval/{name}"], rtol=0, atol=1e-5)
    torch.testing.assert_close(model.translate(golden["input/real_A"]), golden["eval/x_ab"], rtol=0, atol=1e-5)


def test_verdicts_of_every_scale(model: UNIT, golden: dict[str, Tensor]) -> None:
    with torch.no_grad():
        verdict = model.verdict("a", golden["input/real_A"], ("woman", "woman"))
    for index, logits in enumerate(verdict.logits):
        torch.testing.assert_close(logits, golden[f"eval/dis_a/{index}"], rtol=0, atol=1e-5)


def test_first_iteration(model: UNIT, golden: dict[str, Tensor], losses: dict[str, Loss]) -> None:
    assert UNIT.first == "discriminator"
    passes = passes_of(model, golden, losses)
    parameters = list(model.discriminators.parameters())
    model.judge(passes, "discriminator")
    loss = total(means("discriminator", passes, losses), losses)
    assert loss.item() == pytest.approx(golden["step1/loss/dis_total"].item(), rel=1e-4)
    loss.backward(inputs=parameters)
    judges = {f"dis_{domain}.": published_gradients(model.discriminators[domain]) for domain in DOMAINS}
    assert_norms("D", {start + key: value for start, own in judges.items() for key, value in own.items()}, golden)
    model.optimizer([{"params": parameters, "lr": model.config.lr}]).step()
    model.judge(passes, "generator")
    terms = means("generator", passes, losses)
    for name, theirs in PUBLISHED.items():
        desired = sum(golden[f"step1/loss/{key}"].item() for key in theirs)
        assert terms[name].item() == pytest.approx(desired, rel=1e-4), name
    loss = total(terms, losses)
    assert loss.item() == pytest.approx(golden["step1/loss/gen_total"].item(), rel=1e-4)
    loss.backward(inputs=list(model.generators.parameters()))
    assert_norms("G", generator_gradients(model), golden)


@pytest.mark.parametrize(
    ("network", "parameters", "file"),
    [
        (VariationalGenerator, 11_140_483, "unit_munitstyle_VAEGen.txt"),
        (MultiscaleDiscriminator, 8_271_171, "unit_munitstyle_MsImageDis.txt"),
    ],
)
def test_published_names_shapes_and_counts(network: Any, parameters: int, file: str) -> None:
    with torch.device("meta"):
        state = (own := network(network.Config())).state_dict()
    shapes = {theirs: tuple(state[ours].shape) for ours, theirs in own.published_keys().items()}
    assert sum(tensor.numel() for tensor in state.values()) == parameters
    assert shapes == shared.published_keys(file)
    assert list(shapes) == list(shared.published_keys(file))
