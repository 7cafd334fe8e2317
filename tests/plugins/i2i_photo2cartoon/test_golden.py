"""photo2cartoon and the paper's multi-group model compute what the originals compute, from their files."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from i2i import Registry
from i2i.contracts.branches import routed
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i_photo2cartoon.checkpoint import Photo2CartoonFile
from i2i_photo2cartoon.fewshot import FewShotFile
from tests.shared import golden

FORMATS = {"photo2cartoon": Photo2CartoonFile, "fewshot": FewShotFile}
NETWORKS = [("a2b", "genA2B", "A"), ("b2a", "genB2A", "B")]


def load(name, registry):
    """Return the original's tensors, and the model that its file holds."""
    imported = FORMATS[name](Registry()).read({"file": states(name)}, 128)
    model = Model(resolve(imported.config, registry), imported.base, imported.groups)
    model.backbone.load_state_dict(imported.tensors)
    model.backbone.eval()
    return load_file(golden(f"{name}.golden.safetensors")), model


def states(name):
    return torch.load(golden(f"{name}.pt"), weights_only=True)


def same(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("direction", "net", "domain"), NETWORKS)
@torch.no_grad()
def test_generator_outputs(registry, direction, net, domain):
    tensors, model = load("photo2cartoon", registry)
    actual = model.backbone.generators[direction](tensors[f"input/real_{domain}"])
    for name, value in (("image", actual.image), ("cam_logit", actual.cam_logits), ("heatmap", actual.heatmap)):
        same(value, tensors[f"eval/{net}/{name}"])


@pytest.mark.parametrize("domain", ["A", "B"])
@torch.no_grad()
def test_discriminator_outputs(registry, domain):
    tensors, model = load("photo2cartoon", registry)
    verdict = model.backbone.discriminators[domain.lower()](tensors[f"input/real_{domain}"])
    for index, letter in enumerate("GL"):
        same(verdict.logits[index], tensors[f"eval/dis{letter}{domain}/logit"])
        same(verdict.cam_logits[index], tensors[f"eval/dis{letter}{domain}/cam_logit"])


@torch.no_grad()
def test_every_group_of_the_multi_group_file(registry):
    tensors, model = load("fewshot", registry)
    for index, group in enumerate(("woman", "man", "kid", "elderly")):
        with routed((group,)):
            actual = model.backbone.generators["a2b"](tensors["input/real_A"])
        same(actual.image, tensors[f"eval/genA2B/{index}/image"])
        same(actual.heatmap, tensors[f"eval/genA2B/{index}/heatmap"])
        same(actual.cam_logits, tensors[f"eval/genA2B/{index}/cam_logit"][..., index])  # one's own row of four


@torch.no_grad()
def test_a_batch_of_all_groups_equals_each_alone(registry):
    tensors, model = load("fewshot", registry)
    order = [2, 0, 3, 1, 2]
    with routed(tuple(model.groups[index] for index in order)):
        actual = model.backbone.generators["a2b"](tensors["input/real_A"].expand(len(order), -1, -1, -1))
    for position, index in enumerate(order):
        same(actual.image[position], tensors[f"eval/genA2B/{index}/image"][0])
        same(actual.cam_logits[position], tensors[f"eval/genA2B/{index}/cam_logit"][0, :, index])


@torch.no_grad()
def test_group_heads_of_the_multi_group_file(registry):
    tensors, model = load("fewshot", registry)
    verdict = model.backbone.discriminators["a"](tensors["input/real_A"])
    for index, letter in enumerate("GL"):
        same(verdict.logits[index], tensors[f"eval/dis{letter}A/logit"])
        same(verdict.cam_logits[index], tensors[f"eval/dis{letter}A/cam_logit"])
        same(verdict.group_logits[index], tensors[f"eval/dis{letter}A/group_logit"])


@pytest.mark.parametrize("name", FORMATS)
def test_import_and_export_is_the_same_file_bit_for_bit(registry, name):
    _, model = load(name, registry)
    (written,) = FORMATS[name](Registry()).write(model.backbone, model.groups).values()
    read = states(name)
    assert list(written) == list(read)
    for network, state in read.items():
        assert written[network].keys() == state.keys()
        assert all(torch.equal(written[network][key], tensor) for key, tensor in state.items())
