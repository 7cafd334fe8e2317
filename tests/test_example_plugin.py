"""The example plugin, loaded by its entry point like any other plugin."""

from __future__ import annotations

import logging
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from i2i import Batch, GroupDetector, Loss, Passes, Registry, Translation, read_image
from i2i.models.assembly import resolve
from i2i.models.data import build_data, resolve_data
from i2i.testing import BackboneTests
from tests.wording import check

EXAMPLE = Path(__file__).parents[1] / "examples" / "i2i-plugin-example"


@pytest.fixture
def with_example(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Everything installed, and the example, loaded by the entry point in its pyproject.toml."""
    monkeypatch.syspath_prepend(EXAMPLE)
    declared = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]["i2i"]
    example = [EntryPoint(name, value, "i2i") for name, value in declared.items()]
    others = [point for point in entry_points(group="i2i") if point.name not in declared]
    return Registry([*others, *example], strict=True)


def test_what_it_registers(with_example):
    with_example.load_components()

    plugin = next(plugin for plugin in with_example.plugins if plugin.name == "example")

    hooks = ("backbones", "detectors", "groups", "losses")
    assert plugin.hooks == ("on_step", *(f"register_{kind}" for kind in hooks))
    assert plugin.components == {
        "backbone": ["sketch"],
        "loss": ["total_variation"],
        "group": ["robot"],
        "detector": ["colour"],
    }
    assert not plugin.error
    assert not plugin.conflicts


def test_its_backbone_is_built_from_registered_parts(with_example):
    chosen = resolve(
        {"backbone": {"name": "sketch", "channels": 4}, "size": 32, "generator": {"blocks": 1}}, with_example
    )

    model = chosen.build_backbone()

    assert chosen.generator.component.name == "resnet"
    assert chosen.discriminator.component.name == "patch"
    assert set(chosen.build_losses(chosen.transfers[0])) == {"adversarial", "cycle", "total_variation"}
    assert model.translate(torch.zeros(2, 3, 32, 32)).shape == (2, 3, 32, 32)


def test_its_loss_works_with_another_backbone(with_example):
    chosen = resolve({"loss": {"total_variation": 0.5}}, with_example)

    assert chosen.build_losses(chosen.transfers[0])["total_variation"].config.weight == 0.5


def test_its_loss_by_hand(with_example):
    total_variation = with_example.get(Loss, "total_variation")
    stripes = torch.tensor([-1.0, 1.0]).repeat(2).expand(1, 3, 4, 4)  # neighbours differ by 2 across, by 0 down
    flat = torch.ones(1, 3, 4, 4)
    passes = Passes(Batch({"a": flat, "b": flat}, ("x",)), fake={"a": Translation(flat), "b": Translation(stripes)})

    actual = total_variation(total_variation.Config()).generator(passes)

    torch.testing.assert_close(actual, torch.tensor([2.0]))


def test_its_listener_warns_when_the_discriminators_have_won(with_example, caplog):
    run = SimpleNamespace(stage="base")
    with caplog.at_level(logging.WARNING):
        for step, loss in ((50, 0.001), (100, 0.5), (200, 0.001)):
            with_example.hooks.hook.on_step(run=run, step=step, losses={"discriminator/adversarial": loss})

    (record,) = caplog.records
    check(record.getMessage(), "base", "step 200", "adversarial", "0.0010")


def test_loading_it_does_not_import_torch():
    code = "import sys, i2i_plugin_example; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=EXAMPLE, check=False).returncode == 0


def test_its_group_joins_the_emoji(with_example):
    emoji = resolve_data({"data": {"name": "emoji"}}, with_example)

    data = build_data(emoji, with_example.groups_of("emoji"), with_example)

    assert data.groups == ("woman", "man", "kid", "elderly", "robot")
    paths = [path for part in (data.train, data.test) for domain in ("a", "b") for path in part("robot", domain)]
    assert [path.parent.name for path in paths] == ["trainA"] * 4 + ["trainB"] * 3 + ["testA"] * 2
    assert {read_image(path).size for path in paths} == {(64, 64)}


def test_its_detector_classifies_grey_images_as_robots(with_example):
    detector = with_example.get(GroupDetector, "colour")()
    grey, red = torch.zeros(3, 8, 8), torch.tensor([1.0, -1.0, -1.0])[:, None, None].expand(3, 8, 8)

    assert detector.detect(grey, ("woman", "robot")) == "robot"
    assert detector.detect(grey, ("woman", "man")) == "woman"
    assert detector.detect(red, ("woman", "robot")) == "woman"


class TestSketch(BackboneTests):
    """The conformance suite, with the backbone loaded by its entry point."""

    options: ClassVar[dict[str, Any]] = {
        "backbone": {"name": "sketch", "channels": 4},
        "generator": {"blocks": 1},
        "size": 32,
    }

    @pytest.fixture
    def registry(self, with_example: Registry) -> Registry:
        return with_example

    @pytest.fixture
    def given(self) -> dict[str, Any]:
        return self.options
