"""U-GAT-IT computes what UGATIT-pytorch computes, from its weights: outputs, losses, gradient norms."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from i2i.images import Batch
from i2i.loss import Loss
from i2i.losses import Adversarial, Cam, Cycle, Identity
from i2i.nn import SpectralConv2d, SpectralLinear
from i2i_ugatit.checkpoint import discriminator_names, from_published, generator_names, to_published
from i2i_ugatit.model import UGATIT
from i2i_ugatit.networks import AttentionDiscriminator, AttentionGenerator
from tests.shared import golden, published_keys

DEPTHS = {"global": ("G", 7), "local": ("L", 5)}
WEIGHTS = {Adversarial: 1.0, Cycle: 10.0, Identity: 10.0, Cam: 1000.0}
NEEDS = frozenset({"fake", "identity", "cycled", "cam", "verdict"})


@pytest.fixture(params=["light", "full"])
def case(request):
    tensors = load_file(golden(f"ugatit_{request.param}.golden.safetensors"))
    states = torch.load(golden(f"ugatit_{request.param}.pt"), weights_only=True)
    return tensors, _model(states, light=request.param == "light")


@pytest.fixture
def batch(case):
    tensors, _ = case
    return Batch({"a": tensors["input/real_A"], "b": tensors["input/real_B"]}, ("all", "all"))


@pytest.mark.parametrize(("direction", "net", "source"), [("a2b", "genA2B", "a"), ("b2a", "genB2A", "b")])
def test_generator_outputs(case, batch, direction, net, source):
    tensors, model = case
    actual = model.eval().generators[direction](batch.real[source])
    for name, value in (("image", actual.image), ("cam_logit", actual.cam_logits), ("heatmap", actual.heatmap)):
        torch.testing.assert_close(value, tensors[f"eval/{net}/{name}"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("domain", ["a", "b"])
def test_discriminator_outputs(case, batch, domain):
    tensors, model = case
    verdict = model.eval().discriminators[domain](batch.real[domain])
    for index, (letter, _) in enumerate(DEPTHS.values()):
        net = f"eval/dis{letter}{domain.upper()}"
        torch.testing.assert_close(verdict.logits[index], tensors[f"{net}/logit"], atol=1e-5, rtol=0)
        torch.testing.assert_close(verdict.cam_logits[index], tensors[f"{net}/cam_logit"], atol=1e-5, rtol=0)
        heatmap = verdict.features[index].sum(1, keepdim=True)
        torch.testing.assert_close(heatmap, tensors[f"{net}/heatmap"], atol=1e-5, rtol=0)


def test_first_iteration(case, batch):
    tensors, model = case
    assert (model.first, model.config.betas, model.config.weight_decay) == ("discriminator", (0.5, 0.999), 1e-4)
    passes = model.train().passes(batch, NEEDS, ("all",))
    loss = _total("discriminator", model.judge(passes, "discriminator"))
    assert loss.item() == pytest.approx(tensors["step1/loss/D"].item(), rel=1e-4)
    parameters = list(model.discriminators.parameters())
    loss.backward(inputs=parameters)
    _compare_norms(tensors, "D", _published_gradients(model, "discriminators"), 2e-2)
    model.optimizer([{"params": parameters}]).step()
    loss = _total("generator", model.judge(passes, "generator"))
    assert loss.item() == pytest.approx(tensors["step1/loss/G"].item(), rel=1e-4)
    loss.backward(inputs=list(model.generators.parameters()))
    _compare_norms(tensors, "G", _published_gradients(model, "generators"), 1e-3)


@pytest.mark.parametrize(("light", "file"), [(True, "light"), (False, "full")])
def test_generator_has_the_published_parameters(light, file):
    with torch.device("meta"):
        generator = AttentionGenerator(AttentionGenerator.Config(channels=64, size=256, light=light))
    state = to_published(generator.state_dict(), generator_names(4))
    assert {key: tuple(value.shape) for key, value in state.items()} == published_keys(f"ugatit_G_ch64_{file}.txt")


@pytest.mark.parametrize("part", ["global", "local"])
def test_discriminator_has_the_published_parameters(part):
    with torch.device("meta"):
        judge = AttentionDiscriminator(AttentionDiscriminator.Config(channels=64)).parts[part]
    spectral = [name for name, m in judge.named_modules() if isinstance(m, SpectralConv2d | SpectralLinear)]
    state = to_published(judge.state_dict(), discriminator_names(DEPTHS[part][1]), spectral)
    assert {key: tuple(value.shape) for key, value in state.items()} == published_keys(f"ugatit_D{part}_ch64.txt")


def _model(states, light):
    options = {"channels": 4, "size": 128}
    generators = {d: AttentionGenerator(AttentionGenerator.Config(**options, light=light)) for d in ("a2b", "b2a")}
    discriminators = {d: AttentionDiscriminator(AttentionDiscriminator.Config(**options)) for d in "ab"}
    for direction, key in (("a2b", "genA2B"), ("b2a", "genB2A")):
        generators[direction].load_state_dict(from_published(states[key], generator_names(4)))
    for domain, discriminator in discriminators.items():
        for part, (letter, layers) in DEPTHS.items():
            state = states[f"dis{letter}{domain.upper()}"]
            discriminator.parts[part].load_state_dict(from_published(state, discriminator_names(layers)))
    return UGATIT(UGATIT.Config(channels=4), generators, discriminators)


def _total(side, passes):
    losses: list[tuple[float, Loss]] = [(weight, cls(cls.Config())) for cls, weight in WEIGHTS.items()]
    terms = [(weight, getattr(loss, side)(passes)) for weight, loss in losses]
    return sum(weight * term.mean() for weight, term in terms if term is not None)


def _published_gradients(model, side):
    gradients = {}
    if side == "generators":
        for direction, net in (("a2b", "genA2B"), ("b2a", "genB2A")):
            own = {name: p.grad for name, p in model.generators[direction].named_parameters()}
            gradients |= {f"{net}.{k}": v for k, v in to_published(own, generator_names(4)).items()}
        return gradients
    for domain, discriminator in model.discriminators.items():
        for part, (letter, layers) in DEPTHS.items():
            module = discriminator.parts[part]
            own = {name: p.grad for name, p in module.named_parameters()}
            spectral = [n for n, m in module.named_modules() if isinstance(m, SpectralConv2d | SpectralLinear)]
            named = to_published(own, discriminator_names(layers), spectral)
            gradients |= {f"dis{letter}{domain.upper()}.{k}": v for k, v in named.items()}
    return gradients


def _compare_norms(tensors, side, gradients, tolerance):
    expected = {
        k.removeprefix(f"step1/gradnorm/{side}/"): v.item() for k, v in tensors.items() if f"gradnorm/{side}/" in k
    }
    assert expected
    actual = {name: gradients[name].norm().item() for name in expected}
    largest = max(expected.values())
    assert actual == pytest.approx(expected, rel=tolerance, abs=1e-7 * largest)
