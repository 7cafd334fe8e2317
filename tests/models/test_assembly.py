"""Completing a configuration: presets, defaults, what parts inherit, and what cannot work together."""

from __future__ import annotations

import pytest
import torch

from i2i import Backbone, Metric
from i2i.config.options import merge
from i2i.contracts.transfer import Transfer
from i2i.errors import ConfigError, UnknownComponentError
from i2i.models.assembly import resolve
from i2i.models.data import resolve_data
from i2i.storage.toml import to_toml
from tests.wording import refused


def test_nothing_given_is_the_quick_ugatit_with_branch(registry) -> None:
    config = resolve({}, registry).config
    assert (config.preset, config.size, config.backbone["name"], config.transfer["name"]) == (
        "quick", 64, "ugatit", "branch",
    )  # fmt: skip
    assert config.loss["cam"]["weight"] == 10  # from the backbone's own quick preset
    assert config.transfer["branch_lr"] == 3  # from the strategy's own


def test_the_quick_preset_chooses_joined_discriminators_and_their_options_give_way(registry) -> None:
    config = resolve({}, registry).config
    assert (config.discriminator["name"], config.ema) == ("timm+patch+patch/2", 0.998)
    assert (config.discriminator["patch"]["layers"], config.discriminator["patch_2"]["layers"]) == (2, 2)
    for given in ({"discriminator": {"name": "patch"}}, {"backbone": {"discriminator": "patch"}}):
        discriminator = resolve(given, registry).config.discriminator
        assert discriminator == {"name": "patch", "layers": None, "minibatch_std": False}


def test_parts_of_the_presets_discriminators_keep_its_options_in_another_company(registry) -> None:
    options = resolve({"discriminator": {"name": "timm+patch/2+patch/4"}}, registry).config.discriminator
    assert {name: part["layers"] for name, part in options.items() if name.startswith("patch")} == {
        "patch_2": 2, "patch_4": None,
    }  # fmt: skip
    own = {"discriminator": {"name": "patch+pixel", "patch": {"layers": 3}}}
    assert resolve(own, registry).config.discriminator["patch"]["layers"] == 3


def test_paper_preset_is_as_published(registry) -> None:
    config = resolve({"preset": "paper"}, registry).config
    assert (config.size, config.batch_size, config.steps) == (256, 1, 100_000)
    assert config.backbone["channels"] == 64
    assert config.loss["cam"]["weight"] == 1000


def test_given_options_win_over_presets(registry) -> None:
    config = resolve({"preset": "quick", "steps": 7, "backbone": {"channels": 5}}, registry).config
    assert (config.size, config.steps, config.backbone["channels"]) == (64, 7, 5)


def test_parts_take_size_and_shared_options_from_run_and_backbone(registry) -> None:
    chosen = resolve({"size": 96, "backbone": {"channels": 6, "light": False}}, registry)
    assert (chosen.generator.options.size, chosen.discriminator.options.size) == (96, 96)
    assert (chosen.generator.options.channels, chosen.discriminator.options.channels) == (6, 6)
    assert chosen.generator.options.light is False


def test_own_options_of_a_part_win_over_inherited_ones(registry) -> None:
    own = {"generator": {"channels": 4, "light": False}, "discriminator": {"channels": 3}}
    chosen = resolve({"backbone": {"channels": 6}, **own}, registry)
    assert (chosen.generator.options.channels, chosen.discriminator.options.channels) == (4, 3)
    assert (chosen.backbone.options.light, chosen.generator.options.light) == (True, False)


def test_parts_are_exchangeable_by_name(registry) -> None:
    chosen = resolve({"backbone": {"name": "cyclegan"}, "generator": {"name": "unet"}, "size": 64}, registry)
    assert (chosen.config.generator["name"], chosen.config.discriminator["name"]) == ("unet", "timm+patch+patch/2")
    by_option = resolve({"backbone": {"name": "cyclegan", "generator": "unet"}, "size": 64}, registry)
    assert by_option.config.generator == chosen.config.generator


@pytest.mark.parametrize(
    ("given", "lr"),
    [({}, 0.5), ({"transfer": {"name": "none"}}, 1), ({"transfer": {"lr": 2}}, 2), ({"preset": "paper"}, 1)],
    ids=["quick", "none", "given", "paper"],
)
def test_a_preset_of_a_backbone_sets_options_of_transfers_that_take_steps(registry, given, lr) -> None:
    assert resolve({"backbone": {"name": "unit"}, **given}, registry).config.transfer["lr"] == lr


def test_options_of_metrics_are_completed_where_there_are_some(registry) -> None:
    assert resolve({}, registry).config.metric == {}
    found = resolve({"metric": {"group_accuracy": {}}}, registry).config.metric
    assert found == {"group_accuracy": registry.get(Metric, "group_accuracy").Config().model_dump()}


@pytest.mark.parametrize(
    "given", [{"evaluate": {"metrics": ["ssmi"]}}, {"evaluate": {"best": "ssmi"}}, {"metric": {"ssmi": {}}}]
)
def test_metrics_that_there_are_not(registry, given) -> None:
    with refused(UnknownComponentError, "ssmi", "ssim"):
        resolve(given, registry)


@pytest.mark.parametrize("given", [{"loss": {"cycel": 1}}, {"transfer": {"loss": {"cycel": 1}}}])
def test_losses_that_there_are_not(registry, given) -> None:
    with refused(UnknownComponentError, "cycel", "cycle"):
        resolve(given, registry)


def test_a_number_is_the_weight_of_a_loss(registry) -> None:
    loss = resolve({"loss": {"identity": 5, "adversarial": {"mode": "hinge"}}}, registry).config.loss
    assert loss["identity"]["weight"] == 5
    assert (loss["adversarial"]["mode"], loss["adversarial"]["weight"]) == ("hinge", 1)
    assert loss["cycle"]["weight"] == 10


def test_a_complete_configuration_reproduces_itself(tiny, registry) -> None:
    given = {key: value for key, value in tiny.items() if key != "data"}
    for extra in ({}, {"backbone": {"name": "cyclegan"}}, {"transfer": {"judge": "classification"}}):
        config = resolve(merge(given, extra), registry).config.model_dump(mode="json")
        assert to_toml(resolve(config, registry).config.model_dump(mode="json")) == to_toml(config)


def test_choosing_tells_who_provides_each_part(registry) -> None:
    providers = resolve({}, registry).providers
    assert set(providers) == {"backbone", "generator", "discriminator", "transfer"}
    assert all(provider.startswith("i2i ") for provider in providers.values())


def test_losses_of_weight_zero_and_those_a_base_stage_cannot_compute_are_not_built(tiny, registry) -> None:
    given = {key: value for key, value in tiny.items() if key != "data"}
    chosen = resolve(merge(given, {"loss": {"cycle": 0}, "transfer": {"judge": "classification"}}), registry)
    base, transfer = map(chosen.build_losses, chosen.transfers)
    assert set(base) == {"adversarial", "identity", "cam"}
    assert set(transfer) == {"adversarial", "identity", "cam", "group"}


def test_a_transfer_can_have_weights_of_its_own(tiny, registry) -> None:
    given = {"loss": {"cycle": 20, "adversarial": {"mode": "hinge"}}, "transfer": {"loss": {
        "cycle": 10, "adversarial": 2, "identity": 0, "correspondence": 1000}}}  # fmt: skip
    chosen = resolve(merge({key: value for key, value in tiny.items() if key != "data"}, given), registry)
    base, transfer = map(chosen.build_losses, chosen.transfers)
    assert {name: loss.config.weight for name, loss in base.items()} == {
        "adversarial": 1, "cycle": 20, "identity": 10, "cam": 10}  # fmt: skip
    assert {name: loss.config.weight for name, loss in transfer.items()} == {
        "adversarial": 2, "cycle": 10, "cam": 10, "correspondence": 1000}  # fmt: skip
    assert transfer["adversarial"].config.mode == "hinge"


def test_choosing_draws_no_random_number_and_keeps_no_weights(registry) -> None:
    before = torch.get_rng_state()
    resolve({"preset": "paper", "backbone": {"light": False}}, registry)  # gigabytes, if they were made
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"generator": {"name": "resnet"}},
         ('cam', 'resnet', '--loss.cam 0')),
        ({"loss": {"group": 1}},
         ('group', 'branch', '--loss.group 0')),
        ({"loss": {"group": 1}, "transfer": {"name": "none"}}, ('none',)),
        ({"size": 32, "discriminator": {"name": "ugatit", "global_layers": 7}}, (128, 32)),
        ({"preset": "slow"}, ('slow', 'quick', 'paper')),
        ({"preset": ["quick"]}, ("['quick']", 'quick', 'paper')),
        ({"steps": "many"}, ('steps', 'many')),
        ({"stepps": 3}, ('stepps', 'steps')),
        ({"backbone": {"chanels": 3}}, ('ugatit', 'chanels', 'channels')),
        ({"loss": {"cycle": {"wieght": 3}}}, ('cycle', 'wieght', 'weight')),
        ({"backbone": "ugatit"}, ('backbone', 'ugatit')),
        ({"loss": 3}, ('loss', 3)),
        ({"transfer": {"loss": "cycle=1"}}, ('branch', 'cycle=1', 'JSON')),
        ({"transfer": {"loss": {"cycle": -1}}}, ('branch', 'loss.cycle', -1)),
        ({"transfer": {"loss": {"group": 1}}}, ('group', 'branch', '--transfer.loss')),
        ({"transfer": {"loss": {"adversarial": 0, "cycle": 0, "identity": 0, "cam": 0}}},
         ('--transfer.loss', 'weight 0')),
    ],
)  # fmt: skip
def test_what_cannot_work_is_explained(registry, given, named) -> None:
    with refused(ConfigError, *named):
        resolve(given, registry)


@pytest.mark.parametrize("remedy", [{"loss": {"cam": 0}}, {"generator": {"name": "ugatit"}}])
def test_the_remedies_of_a_misfit_work(registry, remedy) -> None:
    resolve(merge({"generator": {"name": "resnet"}}, remedy), registry)


def test_options_can_be_looked_up_although_the_parts_do_not_fit(registry) -> None:
    chosen = resolve({"generator": {"name": "resnet"}}, registry, fitting=False)
    assert chosen.generator.options.blocks == 9


@pytest.mark.parametrize("kind", ["backbone", "generator", "discriminator", "transfer", "loss"])
def test_unknown_names_are_refused(registry, kind) -> None:
    given = {"loss": {"zzz": 1}} if kind == "loss" else {kind: {"name": "zzz"}}
    with refused(UnknownComponentError, kind, "zzz"):
        resolve(given, registry)


def test_data_sets(registry, folder_root) -> None:
    choice = resolve_data({"data": {"name": "folder", "root": str(folder_root), "base": "man"}}, registry)
    assert choice.build().groups == ("man", "kid", "woman")
    assert choice.section == {"name": "folder", "root": str(folder_root), "base": "man"}
    with refused(UnknownComponentError, "x", "./x"):
        resolve_data({"data": {"name": "x"}}, registry)
    with refused(ConfigError, "folder", "root", "ROOT/<group>/trainA"):
        resolve_data({"data": {"name": "folder"}}, registry)


def test_a_size_that_the_generator_cannot_take_names_the_nearest(registry) -> None:
    with refused(ConfigError, "ugatit", 4, 50, "--size 48"):
        resolve({"size": 50}, registry)


def test_nothing_to_learn_is_refused(registry) -> None:
    zeros = dict.fromkeys(("adversarial", "cycle", "identity", "cam"), 0)
    with refused(ConfigError, 0):
        resolve({"loss": zeros}, registry)


def test_a_resolved_configuration_can_be_changed_and_its_parts_follow(registry) -> None:
    resolved = resolve({}, registry).config.model_dump(mode="json")
    changed = resolve(merge(resolved, {"size": 32, "backbone": {"channels": 7}}), registry)
    assert (changed.generator.options.channels, changed.discriminator.options.channels) == (7, 7)
    assert (changed.generator.options.size, changed.generator.options.blocks) == (32, 3)


def test_what_a_transfer_provides_is_read_from_its_options_without_an_instance(registry, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a transfer was built")

    monkeypatch.setattr(registry.get(Transfer, "branch"), "__init__", refuse)
    chosen = resolve({"transfer": {"judge": "classification", "group_weight": 2}}, registry)
    assert chosen.transfer.options.provides == {"group"}
    assert chosen.losses["group"].options.weight == 2


def test_a_full_name_stays_in_the_configuration(tiny, registry):
    given = {**{key: value for key, value in tiny.items() if key != "data"}, "backbone": {"name": "i2i:cyclegan"}}
    chosen = resolve(given, registry)
    assert chosen.config.backbone["name"] == "i2i:cyclegan"
    assert chosen.providers["backbone"] == registry.provider(Backbone, "cyclegan")
    assert resolve(chosen.config.model_dump(mode="json", exclude={"data"}), registry).backbone == chosen.backbone
