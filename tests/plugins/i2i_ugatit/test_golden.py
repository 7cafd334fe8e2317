"""U-GAT-IT computes what UGATIT-pytorch computes, from its weights: outputs, losses, gradient norms."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from i2i import Registry
from i2i.contracts.domains import Batch
from i2i.contracts.loss import Loss
from i2i_losses.terms import Adversarial, Cam, Cycle, Identity
from i2i_ugatit.checkpoint import UGATITPytorch
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
    model.judge(passes, "discriminator")
    loss = _total("discriminator", passes)
    assert loss.item() == pytest.approx(tensors["step1/loss/D"].item(), rel=1e-4)
    parameters = list(model.discriminators.parameters())
    loss.backward(inputs=parameters)
    _compare_norms(tensors, "D", _published_gradients(model, "discriminators"), 2e-2)
    model.optimizer([{"params": parameters}]).step()
    model.judge(passes, "generator")
    loss = _total("generator", passes)
    assert loss.item() == pytest.approx(tensors["step1/loss/G"].item(), rel=1e-4)
    loss.backward(inputs=list(model.generators.parameters()))
    _compare_norms(tensors, "G", _published_gradients(model, "generators"), 1e-3)


@pytest.mark.parametrize(("light", "file", "count"), [(True, "light", 10_589_888), (False, "full", 278_959_808)])
def test_generator_has_the_published_parameters(light, file, count):
    with torch.device("meta"):
        generator = AttentionGenerator(AttentionGenerator.Config(channels=64, size=256, light=light))
    assert sum(parameter.numel() for parameter in generator.parameters()) == count
    assert _shapes(generator) == published_keys(f"ugatit_G_ch64_{file}.txt")


def test_discriminators_have_the_published_parameters():
    with torch.device("meta"):
        shapes = _shapes(AttentionDiscriminator(AttentionDiscriminator.Config(channels=64)))
    expected = {"G": published_keys("ugatit_Dglobal_ch64.txt"), "L": published_keys("ugatit_Dlocal_ch64.txt")}
    assert shapes == {f"{part}.{key}": shape for part, keys in expected.items() for key, shape in keys.items()}


def _shapes(network):
    state = network.state_dict()
    return {theirs: tuple(state[key].shape) for key, theirs in network.published_keys().items()}


def _model(states, light):
    options = {"channels": 4, "size": 128}
    generators = {d: AttentionGenerator(AttentionGenerator.Config(**options, light=light)) for d in ("a2b", "b2a")}
    discriminators = {d: AttentionDiscriminator(AttentionDiscriminator.Config(**options)) for d in "ab"}
    model = UGATIT(UGATIT.Config(channels=4), generators, discriminators)
    model.load_state_dict(UGATITPytorch(Registry()).read({"file": states}, size=128).tensors)
    return model


def _total(side, passes):
    losses: list[tuple[float, Loss]] = [(weight, cls(cls.Config())) for cls, weight in WEIGHTS.items()]
    terms = [(weight, getattr(loss, side)(passes)) for weight, loss in losses]
    return sum(weight * term.mean() for weight, term in terms if term is not None)


def _published_gradients(model, side):
    gradients = {}
    for key, network in getattr(model, side).items():
        own = {name: p.grad for name, p in network.named_parameters()}
        for ours, theirs in network.published_keys().items():
            if ours in own:
                gradients[_network_name(key, theirs)] = own[ours]
    return gradients


def _network_name(key, theirs):
    if key in ("a", "b"):
        letter, _, rest = theirs.partition(".")
        return f"dis{letter}{key.upper()}.{rest}"
    return f"{ {'a2b': 'genA2B', 'b2a': 'genB2A'}[key] }.{theirs}"


def _compare_norms(tensors, side, gradients, tolerance):
    expected = {
        k.removeprefix(f"step1/gradnorm/{side}/"): v.item() for k, v in tensors.items() if f"gradnorm/{side}/" in k
    }
    assert expected
    actual = {name: gradients[name].norm().item() for name in expected}
    largest = max(expected.values())
    assert actual == pytest.approx(expected, rel=tolerance, abs=1e-7 * largest)
