"""The paper's multi-group files: groups, branches and heads in both directions."""

from __future__ import annotations

import copy
import re

import pytest
import torch

from i2i import Registry
from i2i.config.options import merge
from i2i.contracts.branches import Branches
from i2i.errors import CheckpointError, ConfigError
from i2i.exchange.importing import import_checkpoint
from i2i.groups.stored import open_model
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load
from i2i.models.description import read_model_description
from i2i.models.model import Model
from i2i.runs.run import create_run
from i2i.storage.run_folder import read_config
from i2i.storage.tensor_file import write
from i2i_photo2cartoon.checkpoint import GENERATORS
from i2i_photo2cartoon.fewshot import FewShotFile
from i2i_photo2cartoon.networks import HourglassGenerator
from tests.conftest import write_noise
from tests.sampling import sampled
from tests.shared import published_keys
from tests.wording import check, refused

FORMAT = FewShotFile(Registry())
NEW = ("man", "kid", "elderly")
ROWS = ("gap_fc_new", "gmp_fc_new")


def written(model):
    return FORMAT.write(model.backbone, model.groups)


def model_of(registry, given=None, groups=NEW):
    transfer = {"name": "branch", "judge": "classification", "cam": "group"}
    small = {"size": 32, "backbone": {"name": "photo2cartoon", "channels": 4}, "transfer": transfer}
    model = Model(resolve(merge(small, given or {}), registry), "woman", groups)
    with torch.no_grad():
        for tensor in model.backbone.state_dict().values():
            tensor.add_(0.1 * torch.randn_like(tensor))  # so that groups differ
    return model


def file_of(model):
    files = written(model)
    assert list(files) == ["fewshot_params_latest.pt"]
    return copy.deepcopy(files["fewshot_params_latest.pt"])


def loaded(registry, imported):
    model = Model(resolve(imported.config, registry), imported.base, imported.groups)
    model.backbone.load_state_dict(imported.tensors)
    return model


@pytest.fixture(scope="module")
def published(registry):
    return file_of(model_of(registry))


@pytest.fixture
def file(published):
    """A file of four groups; a test may remove tensors, but not change one."""
    return {name: dict(state) for name, state in published.items()}


@pytest.fixture
def faces(tmp_path):
    """Noise of the paper's groups, and of one that is new."""
    for group in ("woman", *NEW, "baby"):
        for part in ("trainA", "trainB"):
            write_noise(tmp_path / ("new" if group == "baby" else "faces") / group / part, 1)
    return tmp_path / "faces"


def adding_baby(run, out, registry):
    """A run that adds a group to an imported one."""
    trained = read_model_description(run / "model.safetensors").config.content()
    start = {"stages": ["transfer"], "base_model": str(run / "model.safetensors"), "device": "cpu", "transfer_steps": 1}
    added = {"group": "baby", "root": str(run.parent / "new" / "baby")}
    data = read_config(run).get("data", {})
    return create_run(
        out, {**trained, **start, "added": added, "data": data, "evaluate": {"metrics": ["l1"]}}, registry
    )


@pytest.mark.full
def test_a_group_can_be_added_to_a_file_of_the_paper_and_take_anothers_place(registry, file, faces, tmp_path):
    torch.save(file, tmp_path / "theirs.pt")
    run, data = tmp_path / "run", {"name": "folder", "root": str(faces)}
    import_checkpoint(tmp_path / "theirs.pt", run, registry, size=32, data=data)
    adding_baby(run, tmp_path / "more", registry).execute()
    grown = load(tmp_path / "more", registry, judges=True)
    assert grown.groups == ("woman", *NEW, "baby")
    own = [key for key in grown.backbone.state_dict() if ".branches.baby." in key]
    assert len(own) == len([key for key in grown.backbone.state_dict() if ".branches.man." in key]) > 0
    with refused(CheckpointError, 5, "woman", "man", "kid", "elderly", "baby"):
        written(grown)
    four = open_model(tmp_path / "more", registry).without("man")
    write(tmp_path / "four.safetensors", four.tensors, four.description.content())
    exported = file_of(load(tmp_path / "four.safetensors", registry, judges=True))
    for name in GENERATORS:
        kept = {key: key for key in file[name] if not re.match(r"\w+_(\d|new)\.", key)}
        kept |= {key.replace("_2.", "_1.", 1): key for key in file[name] if re.match(r"\w+_2\.", key)}  # kid moves up
        assert all(torch.equal(exported[name][now], file[name][before]) for now, before in kept.items())


def test_adding_needs_the_data_of_the_imported_groups_and_takes_no_other(registry, file, faces, tmp_path):
    torch.save(file, tmp_path / "theirs.pt")
    import_checkpoint(tmp_path / "theirs.pt", tmp_path / "run", registry, size=32)
    with refused(ConfigError, "baby", "woman", "i2i import --data"):
        adding_baby(tmp_path / "run", tmp_path / "more", registry)


@pytest.mark.parametrize("prefix", sampled("module.", ""))
def test_the_round_trip_is_exact(registry, file, prefix):
    wrapped = {name: {prefix + key: tensor for key, tensor in state.items()} for name, state in file.items()}
    imported = FORMAT.read({"file": wrapped}, 32)
    assert (imported.base, imported.groups) == ("woman", NEW)
    (note,) = imported.notes
    check(note, "woman, man, kid, elderly")
    for name, state in file_of(loaded(registry, imported)).items():
        assert state.keys() == file[name].keys()
        assert all(torch.equal(tensor, file[name][key]) for key, tensor in state.items())


def test_rows_and_suffixes_belong_to_the_groups_in_order(file):
    tensors = FORMAT.read({"file": file}, 32).tensors
    for index, group in enumerate(("woman", *NEW)):
        suffix = f"_{index}" if index else ""
        row = tensors[f"generators.a2b.attention.heads.branches.{group}.maximum.weight"]
        assert torch.equal(row, file["genA2B"]["gmp_fc_new.weight"][index : index + 1])
        conv = tensors[f"generators.b2a.down.0.branches.{group}.1.weight"]
        assert torch.equal(conv, file["genB2A"][f"ConvBlock1{suffix}.1.weight"])


@pytest.mark.parametrize(("count", "groups"), [(2, ("man",)), (6, (*NEW, "group4", "group5"))])
def test_other_numbers_of_groups_can_be_read(registry, file, count, groups):
    imported = FORMAT.read({"file": {name: _resized(state, count) for name, state in file.items()}}, 32)
    assert (imported.base, imported.groups) == ("woman", groups)
    model = loaded(registry, imported)
    assert model.translate(torch.zeros(1, 3, 32, 32), groups[-1]).isfinite().all()


def test_a_classifier_that_groups_share_is_written_once_a_group(registry):
    model = model_of(registry, {"transfer": {"cam": "shared"}})
    written = file_of(model)["genA2B"]["gap_fc_new.weight"]
    own = model.backbone.generators["a2b"].attention.heads.average.weight
    assert torch.equal(written, own.expand(4, -1))


def test_published_names_shapes_and_counts(registry):
    given = {"size": 256, "backbone": {"channels": 32}}
    with torch.device("meta"):
        model = Model(resolve(merge({"preset": "paper"}, _given(given)), registry), "woman", NEW)
    generator = model.backbone.generators["a2b"]
    assert sum(t.numel() for t in generator.state_dict().values()) == 4_475_818
    branched = [m for m in generator.modules() if isinstance(m, Branches)]
    heads = generator.attention.heads
    own = sum(t.numel() for m in branched if m is not heads for t in m.state_dict().values())
    assert own == 858_620
    judge = model.backbone.discriminators["a"]
    assert sum(p.numel() for p in judge.parameters()) == 13_298_144 + 827_104
    state = generator.state_dict()
    assert {k.replace(".branches.man.", ".") for k in state if ".branches.man." in k} == {
        k for k in _plain().state_dict() if k.startswith(("down.0.", "down.1.", "up.3.", "up.4.", "attention.heads."))
    }


def test_written_names_and_shapes_are_the_published_ones(registry):
    file = file_of(model_of(registry, {"preset": "paper", "size": 128, "backbone": {"channels": 32}}))
    shapes = {name: {key: tuple(t.shape) for key, t in state.items()} for name, state in file.items()}
    for direction in ("genA2B", "genB2A"):
        assert shapes[direction] == published_keys("fewshot_G_ch32_light.txt")
    for domain in "AB":
        assert shapes[f"disG{domain}"] == published_keys("fewshot_Dglobal_ch32.txt")
        assert shapes[f"disL{domain}"] == published_keys("fewshot_Dlocal_ch32.txt")


def test_only_files_of_several_groups_are_recognised(file):
    assert FORMAT.recognises({"file": file})
    single = {key.replace("gap_fc_new.", "gap_fc."): tensor for key, tensor in file["genA2B"].items()}
    assert not FORMAT.recognises({"file": {"genA2B": single}})
    assert not FORMAT.recognises({"file": {"genB2A": file["genB2A"]}})


def test_missing_networks_are_left_out(file):
    tensors = FORMAT.read({"file": {"genA2B": file["genA2B"]}}, None).tensors
    assert {".".join(key.split(".")[:2]) for key in tensors} == {"generators.a2b"}


@pytest.mark.parametrize(
    ("network", "key", "named"),
    [
        ("genA2B", "HourGlass1_2.Conv2.bias", ("genA2B", 2, "kid", "HourGlass1.Conv2.bias")),
        ("genB2A", "gmp_fc_new.bias", ("genB2A", 0, "woman", "gmp_fc.bias")),
        ("disGB", "conv_cls.weight_u", ("disGB", "conv_cls.weight_u")),
        ("disLA", "conv.weight_orig", ("disGA", "disLA", "L.conv.weight_orig")),
    ],
)
def test_a_missing_parameter_is_named(file, network, key, named):
    del file[network][key]
    with refused(CheckpointError, *named):
        FORMAT.read({"file": file}, 32)


def test_parts_that_disagree_on_the_number_of_groups_are_refused(file):
    few = {name: _resized(state, 3) if name.startswith("dis") else state for name, state in file.items()}
    with refused(CheckpointError, "disGA", 3, 4):
        FORMAT.read({"file": few}, 32)
    rows = {key: t[:3] if key.startswith(ROWS) else t for key, t in file["genA2B"].items()}
    with refused(CheckpointError, "genA2B", 4, 3):
        FORMAT.read({"file": {"genA2B": rows}}, 32)
    with refused(CheckpointError, "genA2B"):
        FORMAT.read({"file": {"genA2B": _resized(file["genA2B"], 1)}}, 32)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"transfer": {"judge": "branched"}}, ("branch", "--transfer.judge classification")),
        ({"generator": {"branch_depth": 3}}, ("down.2", "--generator.branch_depth 2")),
        ({"discriminator": {"name": "patch"}}, ("'patch'", "--discriminator ugatit")),
        ({"generator": {"name": "ugatit"}}, ("'ugatit'", "--generator photo2cartoon")),
    ],
)
def test_what_the_original_has_not_cannot_be_written(registry, given, named):
    with refused(CheckpointError, *named):
        written(model_of(registry, given))


def test_another_number_of_groups_cannot_be_written(registry):
    with refused(CheckpointError, 3, "woman", "man", "kid", "--format photo2cartoon --group"):
        written(model_of(registry, groups=("man", "kid")))


def _given(given):
    transfer = {"name": "branch", "judge": "classification", "cam": "group"}
    return merge({"backbone": {"name": "photo2cartoon"}, "transfer": transfer}, given)


def _plain():
    with torch.device("meta"):
        return HourglassGenerator(HourglassGenerator.Config(channels=32))


def _resized(state, count):
    """Cut groups off, or repeat the first."""
    resized = {}
    for key, tensor in state.items():
        head, _, rest = key.partition(".")
        stem, _, suffix = head.partition("_")
        if stem in ("ConvBlock1", "ConvBlock2", "HourGlass1", "HourGlass4"):
            resized |= {key: tensor} if int(suffix or 0) < count else {}
            if not suffix:
                resized |= {f"{head}_{index}.{rest}": tensor for index in range(4, count)}
        elif head in ROWS or key in ("conv_cls.weight_orig", "conv_cls.weight_u"):
            resized[key] = torch.cat([tensor, *[tensor[:1]] * max(0, count - 4)])[:count]
        else:
            resized[key] = tensor
    return resized
