"""Few-shot samples pass through the trunk, and its weights' gradients, which nothing would use, are never computed."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.contracts.branches import parameters_without
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.models.model import Model
from tests.trainings import training_on

GROUPS = ("woman", "man")


class WeightGradients(TorchDispatchMode):
    """Note where the weights lie whose gradients convolutions compute."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[int] = set()

    def __torch_dispatch__(self, operation, types, given=(), options=None):
        if operation is torch.ops.aten.convolution_backward.default and given[-1][1]:
            self.places.add(given[2].data_ptr())
        return operation(*given, **(options or {}))


@pytest.fixture(params=["ugatit", "cyclegan", "unit"])
def training(request, tiny, registry):
    options = {"name": "branch", "cam_groups": "base"}
    given = merge(tiny, {"backbone": {"name": request.param}, "transfer": options})
    seed_everything(0)
    chosen, data = resolve(given, registry), resolve_data(given, registry).build()
    return training_on(data, Model(chosen, "woman", ("man",)))


@pytest.mark.parametrize("group", GROUPS)
def test_only_base_samples_compute_weight_gradients_of_the_trunk(training, group):
    passes = training._generate((group, group))
    with WeightGradients() as computed:
        training._backward("generator", passes)
    generators = training.backbone.generators
    trunk = {p.data_ptr() for p in parameters_without(generators, GROUPS) if p.ndim == 4 and p.shape[-1] == 3}
    assert computed.places
    assert bool(computed.places & trunk) == (group == "woman")
    judges = {p.data_ptr() for p in training.backbone.discriminators.parameters()}
    assert not computed.places & judges
