"""Files of models: whole or not at all, described by themselves, and refused with a reason."""

from __future__ import annotations

import json
from importlib.metadata import entry_points

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from i2i.errors import CheckpointError, ConfigError, UnknownComponentError
from i2i.models import checkpoint
from i2i.models.assembly import resolve
from i2i.models.components import Components
from i2i.models.description import read_model_description
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.storage import tensor_file
from tests.sampling import sampled
from tests.trainings import published_backbone
from tests.wording import refused


@pytest.fixture
def model(tiny, registry):
    return Model(resolve({key: value for key, value in tiny.items() if key != "data"}, registry), "woman", ["man"])


@pytest.fixture
def path(model, tmp_path):
    checkpoint.save(model, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_round_trip(model, path, registry) -> None:
    actual = checkpoint.load(path, registry, judges=True)
    assert actual.groups == ("woman", "man")
    assert actual.components.config.generator == model.components.config.generator
    weights = actual.backbone.state_dict()
    assert weights.keys() == model.backbone.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in model.backbone.state_dict().items())


@pytest.fixture
def reads(monkeypatch):
    """The files that are opened from now on, and the tensors that are read from them."""
    seen: dict[str, list[str]] = {"files": [], "tensors": []}

    class Watched:
        def __init__(self, path, framework):
            seen["files"].append(str(path))
            self._file = safe_open(path, framework)

        def get_tensor(self, name):
            seen["tensors"].append(name)
            return self._file.get_tensor(name)

        def __getattr__(self, name):
            return getattr(self._file, name)

    monkeypatch.setattr(tensor_file, "safe_open", Watched)
    return seen


def test_translating_opens_the_file_once_and_reads_no_discriminator(model, path, registry, reads) -> None:
    actual = checkpoint.load(path, registry)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    assert torch.equal(actual.translate(x, "man"), model.translate(x, "man"))
    assert reads["files"] == [str(path)]
    assert set(reads["tensors"]) == {f"generators.{name}" for name in model.backbone.generators.state_dict()}
    assert not list(actual.backbone.discriminators.parameters())
    with refused(ConfigError, "judges=True"):
        actual.backbone.verdict("a", x, ("man",))


def test_discriminators_are_read_when_they_are_needed(model, path, registry, reads, tmp_path) -> None:
    light, whole = checkpoint.load(path, registry), checkpoint.load(path, registry, judges=True)
    checkpoint.save(light, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    verdicts = [one.backbone.eval().verdict("b", x, ("man",)).logits for one in (light, whole, model)]
    assert all(torch.equal(one, two) for own in verdicts[:2] for one, two in zip(own, verdicts[2], strict=True))
    assert reads["files"] == [str(path)] * 2


def test_a_loaded_model_does_not_depend_on_its_file(model, path, registry) -> None:
    actual = checkpoint.load(path, registry, judges=True)
    before = {name: tensor.clone() for name, tensor in actual.backbone.state_dict().items()}
    path.write_bytes(bytes(path.stat().st_size))
    assert all(torch.equal(tensor, before[name]) for name, tensor in actual.backbone.state_dict().items())


@pytest.mark.parametrize("backbone", sampled("cyclegan", "ugatit", "unit", "photo2cartoon"))
@pytest.mark.parametrize("transfer", ["branch", "finetune", "adapter"])
def test_every_backbone_is_loaded_as_it_was_saved(tmp_path, registry, backbone, transfer) -> None:
    """Without random weights first, and with what both directions share still shared."""
    own = published_backbone(registry, backbone, 4)
    given = {"size": 32, "backbone": own, "transfer": {"name": transfer}}
    model = Model(resolve(given, registry), "woman", ["man"])
    checkpoint.save(model, tmp_path / "model.safetensors")
    light, whole = (
        checkpoint.load(tmp_path / "model.safetensors", registry, judges=judges) for judges in (False, True)
    )
    x, saved = torch.rand(1, 3, 32, 32) * 2 - 1, model.backbone.state_dict()
    for loaded in (light, whole):
        assert len([*loaded.backbone.generators.parameters()]) == len([*model.backbone.generators.parameters()])
        assert torch.equal(loaded.translate(x, "man"), model.translate(x, "man"))
        assert all(parameter.requires_grad for parameter in loaded.backbone.parameters())
    assert all(torch.equal(tensor, saved[name]) for name, tensor in whole.backbone.state_dict().items())


def test_loading_draws_no_random_numbers(path, registry) -> None:
    state = torch.get_rng_state()
    checkpoint.load(path, registry)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_weights_do_not_hold_is_built(model, tmp_path, registry, monkeypatch) -> None:
    """Constants beside the state have to be there, too, although networks are built without memory first."""
    generator = type(model.backbone.generators["a2b"])
    build = generator.__init__

    def with_constants(self, config):
        build(self, config)
        self.register_buffer("kernel", torch.ones(2), persistent=False)
        self.plain = torch.full((2,), 3.0)

    monkeypatch.setattr(generator, "__init__", with_constants)
    checkpoint.save(model, tmp_path / "model.safetensors")
    actual = checkpoint.load(tmp_path / "model.safetensors", registry).backbone.generators["a2b"]
    assert (actual.kernel.tolist(), actual.plain.tolist()) == ([1, 1], [3, 3])


def test_says_how_it_was_trained(path, tiny) -> None:
    config = read_model_description(path).config.content()
    expected = {"preset": "quick", "seed": 0, "precision": "32", "steps": 3, "transfer_steps": 2, "batch_size": 2}
    assert {name: config[name] for name in expected} == expected
    assert not {"device", "threads", "data", "stages"} & config.keys()


def test_leaves_no_temporary_file(path) -> None:
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_whose_plugin_is_missing_names_its_distribution(path) -> None:
    rest = Registry([e for e in entry_points(group="i2i") if e.name != "ugatit"])
    with refused(UnknownComponentError, path, "ugatit"):
        checkpoint.load(path, rest)


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_cut_short(path, keep, registry) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with refused(CheckpointError, path, varies=r"\(.+\)"):
        checkpoint.load(path, registry)


@pytest.mark.parametrize(
    ("about", "numbers"),
    [({}, ()), ({"format": 99}, (99, 1)), ({"format": 1}, ())],
)
def test_described_otherwise(path, about, numbers, registry) -> None:
    save_file({"x": torch.zeros(1)}, path, {"i2i": json.dumps(about)})
    with refused(CheckpointError, path, *numbers):
        checkpoint.load(path, registry)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda content: content.pop("groups"), "groups"),
        (lambda content: content.pop("config"), "config"),
        (lambda content: content["config"].pop("size"), "config.size"),
        (lambda content: content["config"]["generator"].pop("name"), "config.generator.name"),
        (lambda content: content.update(base=3), "base"),
        (lambda content: content.update(groups="man"), "groups"),
        (lambda content: content.update(groups=[3]), "groups.0"),
        (lambda content: content["config"].update(backbone="ugatit"), "config.backbone"),
        (lambda content: content.update(providers=["i2i"]), "providers"),
        (lambda content: content.update(best={"stage": "base"}), "best.metric"),
    ],
)
def test_with_a_damaged_description(path, registry, damage, named) -> None:
    tensors, content = tensor_file.read(path)
    damage(content)
    tensor_file.write(path, tensors, content)
    with refused(CheckpointError, path, named):
        checkpoint.load(path, registry)


def test_a_description_that_is_read_and_written_keeps_every_byte(path, tmp_path) -> None:
    tensors, content = tensor_file.read(path)
    for other in (content, {**content, "new": {"a": [1, None]}}, {k: v for k, v in content.items() if k != "version"}):
        tensor_file.write(tmp_path / "one.safetensors", tensors, other)
        description = read_model_description(tmp_path / "one.safetensors")
        tensor_file.write(tmp_path / "two.safetensors", tensors, description.content())
        assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_with_other_weights_than_it_says(model, path, registry) -> None:
    tensors, about = tensor_file.read(path)
    name = next(key for key in tensors if key.startswith("generators."))
    tensor_file.write(path, {**tensors, name: torch.zeros(2, 3)}, about)
    shape = tuple(tensors[name].shape)
    with refused(CheckpointError, name, "(2, 3)", shape):
        checkpoint.load(path, registry)
    tensor_file.write(path, {key: tensor for key, tensor in tensors.items() if key != name}, about)
    with refused(CheckpointError, name, shape):
        checkpoint.load(path, registry)
    tensor_file.write(path, {**tensors, "a": torch.zeros(1)}, about)
    with refused(CheckpointError, "a", "(1,)"):
        checkpoint.load(path, registry)


def test_other_discriminators_than_it_says_are_refused_when_read(model, path, registry) -> None:
    tensors, about = tensor_file.read(path)
    name = next(key for key in tensors if key.startswith("discriminators."))
    tensor_file.write(path, {**tensors, name: torch.zeros(2, 3)}, about)
    loaded = checkpoint.load(path, registry)
    with refused(CheckpointError, name, "(2, 3)"):
        loaded.read_judges()
    with refused(CheckpointError, name, "(2, 3)"):
        checkpoint.load(path, registry, judges=True)


def test_translating_builds_no_discriminator(path, registry, monkeypatch) -> None:
    monkeypatch.setattr(Components, "build_discriminator", None)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    assert checkpoint.load(path, registry).translate(x).shape == x.shape
    with pytest.raises(TypeError):
        checkpoint.load(path, registry, judges=True)


def test_with_options_that_are_gone(path, registry) -> None:
    tensors, content = tensor_file.read(path)
    content["config"]["generator"]["old_option"] = 3
    tensor_file.write(path, tensors, content)
    with refused(CheckpointError, path, "old_option", "i2i"):
        checkpoint.load(path, registry)


def test_of_a_folder_without_a_model(tmp_path, registry) -> None:
    with refused(CheckpointError, tmp_path, "model.safetensors"):
        checkpoint.load(tmp_path, registry)
    with refused(CheckpointError, tmp_path / "gone", ".safetensors"):
        checkpoint.load(tmp_path / "gone", registry)
