"""Conformance tests for plugin authors: subclass a suite and set the component.

Example:
    ```python
    from i2i.testing import BackboneTests
    from my_plugin.model import Pix


    class TestPix(BackboneTests):
        backbone = Pix
        options = {"backbone": {"channels": 4}}
    ```

Needs pytest. Suites run on 32 px noise, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.compute.engine import Engine
from i2i.compute.randomness import random_state, seed_everything
from i2i.config.options import merge
from i2i.contracts.backbone import Backbone
from i2i.contracts.branches import branch, routed
from i2i.contracts.dataset import Dataset
from i2i.contracts.domains import DOMAINS, Domain
from i2i.contracts.metric import Case, Images, Metric
from i2i.contracts.stochastic import is_stochastic
from i2i.contracts.transfer import NoTransfer, Transfer
from i2i.hooks import hookimpl
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load, save
from i2i.models.model import Model
from i2i.pretrained.networks import PretrainedNetworks
from i2i.registry.registry import Registry
from i2i.training.loader import Loader
from i2i.training.step import Training

__all__ = ["SIZE", "BackboneTests", "MetricTests", "Noise"]

SIZE = 32
"""Side of the images in pixels."""


class Noise(Dataset):
    """Groups of noise images, generated in a folder.

    Args:
        folder: An empty folder.
        groups: Names; the first is the base.
        side: Side of the images in pixels.
    """

    name = "noise"

    def __init__(self, folder: Path, groups: tuple[str, ...] = ("woman", "man"), side: int = 40) -> None:
        self.groups, self.base, self._folder = groups, groups[0], folder
        rng = np.random.default_rng(0)
        for path in [path for group in groups for domain in DOMAINS for path in self.train(group, domain)]:
            Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(path)

    def train(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return two images."""
        return [self._folder / f"{group}-{domain}-{number}.png" for number in range(2)]

    def test(self, group: str, domain: Domain) -> Sequence[Path]:
        """Return no images."""
        return []


class BackboneTests:
    """Tests for every backbone: train, translate, save, and branch with every installed transfer.

    Attributes:
        backbone: The class under test; it need not be installed.
        options: A partial configuration that makes it small.
    """

    backbone: ClassVar[type[Backbone]]
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def registry(self) -> Registry:
        """All installed plugins, and the backbone under test."""
        registry = Registry()
        if self.backbone.name not in registry.names(Backbone):
            registry.add(_Providing(self.backbone), "under-test")
        return registry

    @pytest.fixture
    def given(self) -> dict[str, Any]:
        """The configuration under test."""
        return merge({"backbone": {"name": self.backbone.name}, "size": SIZE}, self.options)

    def test_translates_into_range_and_shape(self, registry: Registry, given: dict[str, Any]) -> None:
        """Both directions return images of the input's shape within [-1, 1]."""
        model = _model(registry, given)
        x = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
        for y in (model.translate(x), model.translate(x, direction="b2a")):
            assert y.shape == x.shape
            assert y.abs().max() <= 1

    def test_a_step_updates_both_sides(self, registry: Registry, given: dict[str, Any], tmp_path: Path) -> None:
        """One step changes most parameters of generators and discriminators, with finite losses."""
        model = _model(registry, given)
        before = {name: p.detach().clone() for name, p in model.backbone.named_parameters()}
        report = _training(model, Noise(tmp_path)).step()
        assert np.isfinite(list(report.values())).all()
        for side in ("generators", "discriminators"):
            parameters = dict(model.backbone.get_submodule(side).named_parameters(side))
            learning = [name for name, parameter in parameters.items() if parameter.requires_grad]
            changed = [name for name in learning if not torch.equal(before[name], parameters[name])]
            assert len(changed) > len(learning) / 2

    def test_a_step_in_bfloat16_has_finite_losses(
        self, registry: Registry, given: dict[str, Any], tmp_path: Path
    ) -> None:
        """Layers accept both bfloat16, as convolutions return it under autocast, and the parameters' float32."""
        report = _training(_model(registry, given), Noise(tmp_path), "bf16").step()
        assert np.isfinite(list(report.values())).all()

    def test_equal_seeds_give_equal_steps(self, registry: Registry, given: dict[str, Any], tmp_path: Path) -> None:
        """Two trainings from the same seed are bit-identical."""
        data = Noise(tmp_path)
        reports = []
        for _ in range(2):
            training = _training(_model(registry, given), data)
            reports.append([training.step() for _ in range(2)])
        assert reports[0] == reports[1]

    def test_networks_that_draw_random_numbers_are_stochastic(self, registry: Registry, given: dict[str, Any]) -> None:
        """Calls in training mode draw no random numbers, unless the network says so."""
        model = _model(registry, given)
        x = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
        for network in (*model.backbone.generators.values(), *model.backbone.discriminators.values()):
            before = random_state()
            network.train()(x)
            drew = any(not torch.equal(before[name], state) for name, state in random_state().items())
            assert is_stochastic(network) or not drew

    def test_samples_do_not_depend_on_their_batch(self, registry: Registry, given: dict[str, Any]) -> None:
        """A sample's translation does not depend on its batch, up to rounding; groups share batches."""
        model = _model(registry, given)
        x = torch.rand(3, 3, SIZE, SIZE) * 2 - 1
        torch.testing.assert_close(model.translate(x)[1:2], model.translate(x[1:2]), atol=1e-4, rtol=0)

    def test_branch_points_leave_the_translation_as_it_was(self, registry: Registry, given: dict[str, Any]) -> None:
        """Branching a generator leaves translations bit-identical for every group."""
        generator = _model(registry, given).backbone.generators["a2b"].eval()
        x = torch.rand(2, 3, SIZE, SIZE) * 2 - 1
        with torch.no_grad():
            expected = generator(x).image
            branch(generator, generator.branch_points, "woman", ["man"])  # type: ignore[arg-type]
            for group in ("woman", "man"):
                with routed((group, group)):
                    assert torch.equal(generator(x).image, expected)

    def test_is_saved_and_loaded(self, registry: Registry, given: dict[str, Any], tmp_path: Path) -> None:
        """A saved and loaded model translates as before."""
        model = _model(registry, given)
        save(model, tmp_path / "model.safetensors")
        x = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
        assert torch.equal(load(tmp_path / "model.safetensors", registry).translate(x), model.translate(x))

    def test_goes_with_every_transfer(self, registry: Registry, given: dict[str, Any], tmp_path: Path) -> None:
        """Adapted by each installed transfer, it takes three steps and translates every group."""
        data = Noise(tmp_path)
        for name in registry.names(Transfer):
            chosen = resolve(merge(given, {"transfer": {"name": name}}), registry)
            model = Model(chosen, data.base, ["man"])
            training = _training(model, data)
            assert np.isfinite([value for _ in range(3) for value in training.step().values()]).all()
            for group in model.groups:
                assert model.translate(torch.zeros(1, 3, SIZE, SIZE), group).isfinite().all()


class MetricTests:
    """Tests for every metric.

    Attributes:
        metric: The class under test.
        options: Its options.
        side: Side of the images in pixels.
    """

    metric: ClassVar[type[Metric]]
    options: ClassVar[dict[str, Any]] = {}
    side: ClassVar[int] = 64

    @pytest.fixture
    def built(self) -> Metric:
        """The metric."""
        metric = self.metric(self.metric.Config(**self.options))
        metric.prepare(PretrainedNetworks(Registry()), torch.device("cpu"))
        return metric

    def test_says_what_it_is(self, built: Metric) -> None:
        """It has a name for tables and a docstring, shown by ``i2i plugins``."""
        assert built.name == self.metric.name
        assert (self.metric.__doc__ or "").strip()

    @pytest.mark.parametrize("more", [0, 3])
    def test_few_images_have_a_finite_score_inside_its_interval(self, built: Metric, more: int) -> None:
        """``fewest`` images or more get a finite score within its interval."""
        score = built.score(_case(built.fewest + more, built.fewest_real + more, self.side))
        assert -float("inf") < score.low <= score.value <= score.high < float("inf")
        assert 1 <= score.n <= built.fewest + more

    def test_parts_are_scores_inside_their_intervals(self, built: Metric) -> None:
        """What the metric consists of, if it says so, has finite scores within their intervals, too."""
        for score in built.parts(_case(built.fewest + 3, built.fewest_real + 3, self.side)).values():
            assert -float("inf") < score.low <= score.value <= score.high < float("inf")

    def test_equal_cases_have_equal_scores_and_nothing_else_changes(self, built: Metric) -> None:
        """The metric seeds its own random numbers, and does not disturb those of training."""
        case, state = _case(4, 4, self.side), torch.get_rng_state()
        assert built.score(case) == built.score(case)
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.is_grad_enabled()

    def test_chunks_do_not_matter(self, built: Metric) -> None:
        """Scores do not depend on the chunk size."""
        small, large = (built.score(_case(5, 5, self.side, chunk)) for chunk in (2, 5))
        assert small.value == pytest.approx(large.value, rel=1e-4, abs=1e-5)


class _Providing:
    """A plugin that provides one backbone."""

    def __init__(self, backbone: type[Backbone]) -> None:
        self._backbone = backbone

    @hookimpl
    def register_backbones(self) -> Iterable[type[Backbone]]:
        return [self._backbone]


def _model(registry: Registry, given: dict[str, Any]) -> Model:
    seed_everything(0)
    model = Model(resolve(given, registry), "woman")
    model.prepare(PretrainedNetworks(registry))
    return model


def _training(model: Model, data: Dataset, precision: str = "32") -> Training:
    transfer = model.transfer or NoTransfer(NoTransfer.Config(), data.base, ())
    losses = model.components.build_losses(transfer.config)
    return Training(
        model.backbone,
        transfer,
        losses,
        Loader(data, SIZE, 0),
        Engine("cpu", precision),
        steps=10,
        batch_size=2,
        seed=0,
        pretrained=PretrainedNetworks(model.components.registry),
    )


def _case(n: int, real: int, side: int, chunk: int = 2) -> Case:
    """Return a case of noise: ``n`` translations with sources and truths, and ``real`` drawings of two groups."""
    generator = torch.Generator().manual_seed(0)

    def images(count: int, name: str) -> Images:
        x = torch.rand(count, 3, side, side, generator=generator) * 2 - 1
        names, hats = [f"{name}-{number}" for number in range(count)], [{"hat": "no"}, {"hat": "yes"}] * count
        return Images(lambda: iter(torch.split(x, chunk)), names, attributes=hats[:count])

    fake, source, truth = (images(n, "design") for _ in range(3))
    return Case("man", fake, source, images(real, "real"), truth, {g: images(3, g) for g in ("woman", "man")})
