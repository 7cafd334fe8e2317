"""Branch points that the user chooses: the option ``branch_points`` of the transfer ``branch``."""

from __future__ import annotations

import pytest
import torch

from i2i.config.options import merge
from i2i.contracts.branches import Branches, branch_parameters
from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load, save
from i2i.models.model import Model
from i2i_transfer.branch import Branch
from tests.wording import refused

OUTERMOST = ("down.0", "down.1", "down.2", "up.0", "up.1", "up.2")


def adapted(tiny, registry, points, **given) -> Model:
    torch.manual_seed(0)
    chosen = resolve(merge(tiny, {"transfer": {"name": "branch", "branch_points": points}}, given), registry)
    return Model(chosen, "woman", ["man"])


def branched(model: Model) -> set[str]:
    generator = model.backbone.generators["a2b"]
    return {path for path, module in generator.named_modules() if isinstance(module, Branches)}


@pytest.mark.parametrize("transfer", ["branch", "branch-free", "adapter"])
def test_each_group_has_the_modules_that_are_named(tiny, registry, transfer):
    points = ("style", "blocks.0", *OUTERMOST)
    model = adapted(tiny, registry, points, transfer={"name": transfer})
    adapters = {path for path in branched(model) if path.endswith(".adapters")}
    assert branched(model) - adapters == set(points)


def test_by_default_it_is_the_outermost_layers(tiny, registry):
    assert branched(adapted(tiny, registry, None)) == set(OUTERMOST)


@pytest.mark.parametrize("name", ["ugatit", "unit", "cyclegan"])
def test_a_model_with_wider_branches_is_saved_and_loaded(tiny, registry, tmp_path, name):
    model = adapted(tiny, registry, ("down.*", "blocks.0"), backbone={"name": name})
    with torch.no_grad():
        for parameter in branch_parameters(model.backbone.generators, ["man"]):
            parameter += 0.1 * torch.randn_like(parameter)
    save(model, tmp_path / "model.safetensors")
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    again = load(tmp_path / "model.safetensors", registry)
    for group in ("woman", "man"):
        assert torch.equal(again.translate(x, group), model.translate(x, group))


def test_paths_may_have_commas_between_them():
    assert Branch.Config(branch_points="down.*, style,up.*").branch_points == ("down.*", "style", "up.*")


@pytest.mark.parametrize("points", [("down.*", "stlye"), ("nothing",)])
def test_a_path_that_matches_no_module_is_refused(tiny, registry, points):
    with refused(ConfigError, points[-1], "style"):
        adapted(tiny, registry, points)


@pytest.mark.parametrize("point", ["down", "decode", "attention.merge"])
def test_a_module_that_is_not_called_cannot_be_branched(tiny, registry, point):
    with refused(ConfigError, point, "ugatit"):
        adapted(tiny, registry, ("up.*", point))


def test_no_path_at_all_is_refused(tiny, registry):
    with refused(ConfigError, "branch_points"):
        adapted(tiny, registry, "")


def test_trying_the_branches_leaves_the_mode_of_the_generator_alone(tiny, registry):
    assert adapted(tiny, registry, ("style",)).backbone.generators["a2b"].training == (
        adapted(tiny, registry, None).backbone.generators["a2b"].training
    )
