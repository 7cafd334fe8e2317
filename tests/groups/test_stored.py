"""Groups that come and go: taken out, attached, removed, while everything of the others stays as it is."""

from __future__ import annotations

import pytest
import torch

import i2i
from i2i.compute.randomness import seed_everything
from i2i.config.options import merge
from i2i.errors import CheckpointError, ConfigError
from i2i.groups.files import keep
from i2i.groups.stored import as_stored, attach, export, open_model, weigh
from i2i.models import checkpoint
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.runs.run import Run, create_run
from i2i.storage import tensor_file
from tests.wording import mentions, refused

JUDGES = ("branched", "classification")


def made(tiny, registry, groups=("man", "kid"), seed=0, **given) -> Model:
    """An untrained model whose every tensor is noise, so that no two groups agree by chance."""
    seed_everything(seed)
    model = Model(resolve({k: v for k, v in merge(tiny, given).items() if k != "data"}, registry), "woman", groups)
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.uniform_(-0.1, 0.1)
    return model


@pytest.fixture(params=JUDGES)
def model(request, tiny, registry) -> Model:
    return made(tiny, registry, transfer={"judge": request.param})


@pytest.fixture
def file(model, tmp_path):
    checkpoint.save(model, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


class TestAnatomy:
    def test_parts_and_trunk_add_up_to_the_model(self, model) -> None:
        whole = as_stored(model)
        parts = [whole.part(group) for group in ("woman", "man", "kid")]
        shared = weigh(whole.tensors[name] for name in whole.ownership.shared)
        assert shared + sum(weigh(part.values()) for part in parts) == whole.size

    def test_heads_are_rows_and_judges_are_branches(self, model) -> None:
        whole = as_stored(model)
        judged = {name.split(".")[0] for name in whole.ownership.templates}
        if model.components.transfer.options.judge == "branched":
            assert (judged, whole.ownership.rows) == ({"generators", "discriminators"}, ())
        else:
            assert judged == {"generators"}
            assert {name.split(".")[2] for name in whole.ownership.rows} == {"heads"}

    def test_a_whole_copy_a_group_shares_nothing(self, tiny, registry) -> None:
        whole = as_stored(made(tiny, registry, groups=()))
        assert (whole.ownership.templates, whole.ownership.rows) == ((), ())


class TestFiles:
    def test_a_removed_group_is_attached_again_without_a_changed_byte(self, model, file, tmp_path, registry) -> None:
        whole = open_model(file, registry)
        size = export(whole, "kid", tmp_path / "kid.safetensors")
        assert size == weigh(whole.part("kid").values())
        less = whole.without("kid")
        tensor_file.write(tmp_path / "less.safetensors", less.tensors, less.description.content())
        assert i2i.load(tmp_path / "less.safetensors", registry).groups == ("woman", "man")
        again = attach(open_model(tmp_path / "less.safetensors", registry), tmp_path / "kid.safetensors")
        tensor_file.write(tmp_path / "again.safetensors", again.tensors, again.description.content())
        assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()

    @pytest.mark.parametrize(
        ("damage", "named"),
        [
            (lambda content: content.pop("fingerprint"), "fingerprint"),
            (lambda content: content.pop("structure"), "structure"),
            (lambda content: content.update(group=["kid"]), "group"),
        ],
    )
    def test_a_file_with_a_damaged_description_is_refused(self, file, tmp_path, registry, damage, named) -> None:
        whole, path = open_model(file, registry), tmp_path / "kid.safetensors"
        export(whole, "kid", path)
        tensors, content = tensor_file.read(path)
        damage(content)
        tensor_file.write(path, tensors, content)
        with refused(CheckpointError, path, named):
            attach(whole, path, "boy")

    def test_others_stay_as_they_are(self, model, file, tmp_path, registry) -> None:
        whole = open_model(file, registry)
        x = torch.rand(1, 3, 32, 32) * 2 - 1
        export(whole, "man", tmp_path / "man.safetensors")
        for changed, served in (
            (whole.without("man"), {"woman": "woman", "kid": "kid"}),
            (attach(whole, tmp_path / "man.safetensors", "boy"), {g: g for g in model.groups} | {"boy": "man"}),
        ):
            tensor_file.write(tmp_path / "changed.safetensors", changed.tensors, changed.description.content())
            other = i2i.load(tmp_path / "changed.safetensors", registry)
            assert set(other.groups) == set(served)
            for name, was in served.items():
                assert torch.equal(other.translate(x, name), model.translate(x, was))

    def test_without_judges_it_translates_the_same_and_gets_the_bases(self, tiny, registry, tmp_path) -> None:
        whole = as_stored(made(tiny, registry, transfer={"judge": "branched"}))
        size = export(whole, "man", tmp_path / "man.safetensors", judges=False)
        again = attach(whole, tmp_path / "man.safetensors", "boy")
        boy, man, woman = again.part("boy"), whole.part("man"), whole.part("woman")
        judges = [name for name in boy if name.startswith("discriminators.")]
        assert size == weigh(tensor for name, tensor in man.items() if name not in judges)
        assert all(torch.equal(tensor, (woman if name in judges else man)[name]) for name, tensor in boy.items())
        assert judges

    def test_rows_of_heads_stay_with_their_groups(self, tiny, registry, tmp_path) -> None:
        whole = as_stored(made(tiny, registry, transfer={"judge": "classification"}))
        name = next(n for n in whole.ownership.rows if n.endswith("weight"))
        woman, man, kid = whole.tensors[name]
        assert torch.equal(whole.without("man").tensors[name], torch.stack([woman, kid]))
        export(whole, "man", tmp_path / "man.safetensors")
        assert torch.equal(
            attach(whole, tmp_path / "man.safetensors", "boy").tensors[name], torch.stack([woman, man, kid, man])
        )

    def test_heads_rank_the_others_as_before(self, tiny, registry, tmp_path) -> None:
        model = made(tiny, registry, transfer={"judge": "classification"})
        x = torch.rand(4, 3, 32, 32) * 2 - 1
        model.backbone.train().discriminators["a"](x)  # spectral normalisation follows the weights while training
        checkpoint.save(model, tmp_path / "model.safetensors")
        less = open_model(tmp_path / "model.safetensors", registry).without("man")
        tensor_file.write(tmp_path / "less.safetensors", less.tensors, less.description.content())
        judges = (model, i2i.load(tmp_path / "less.safetensors", registry, judges=True))
        old, new = (judge.backbone.eval().discriminators["a"](x).group_logits for judge in judges)
        for was, now in zip(old, new, strict=True):
            factor = (now / was[:, [0, 2]]).mean()
            assert factor > 0
            torch.testing.assert_close(now, was[:, [0, 2]] * factor, rtol=1e-4, atol=1e-6)

    def test_twelve_groups(self, tiny, registry, tmp_path) -> None:
        groups = [f"g{number}" for number in range(12)]
        whole = as_stored(made(tiny, registry, groups, transfer={"judge": "classification"}))
        export(whole, "g5", tmp_path / "g5.safetensors")
        less = whole.without("g5").without("g0").without("g11")
        assert less.groups == ("g1", "g2", "g3", "g4", "g6", "g7", "g8", "g9", "g10")
        again = attach(less, tmp_path / "g5.safetensors")
        for group in ("woman", *less.groups, "g5"):
            assert all(torch.equal(tensor, again.part(group)[name]) for name, tensor in whole.part(group).items())


class TestMistakes:
    def refused(self, error: type[Exception], function, *arguments: object) -> str:
        with refused(error) as caught:
            function(*arguments)
        return str(caught.value)

    @pytest.fixture
    def kid(self, model, tmp_path):
        export(as_stored(model), "kid", tmp_path / "kid.safetensors")
        return tmp_path / "kid.safetensors"

    def test_another_trunk(self, tiny, registry, model, kid) -> None:
        judge = model.components.transfer.options.judge
        other = as_stored(made(tiny, registry, ["man"], seed=1, transfer={"judge": judge}))
        message = self.refused(CheckpointError, attach, other, kid)
        mentions(message, kid, "kid")

    def test_another_structure(self, tiny, registry, kid) -> None:
        other = as_stored(made(tiny, registry, ["man"], size=48))
        mentions(self.refused(CheckpointError, attach, other, kid), "kid", 32, 48)

    def test_another_judge(self, tiny, registry, model, kid) -> None:
        judge = next(judge for judge in JUDGES if judge != model.components.transfer.options.judge)
        other = as_stored(made(tiny, registry, ["man"], transfer={"judge": judge}))
        mentions(self.refused(CheckpointError, attach, other, kid), kid, "kid")

    def test_a_name_that_is_there(self, model, kid) -> None:
        mentions(self.refused(ConfigError, attach, as_stored(model), kid), "kid", "--name")

    def test_a_name_that_cannot_name_a_group(self, model, kid) -> None:
        mentions(self.refused(ConfigError, attach, as_stored(model), kid, "a.b"), "a.b")

    def test_a_base_model(self, tiny, registry, kid) -> None:
        mentions(self.refused(ConfigError, attach, as_stored(made(tiny, registry, ())), kid), "kid")

    def test_a_model_instead_of_a_group(self, model, file) -> None:
        mentions(self.refused(CheckpointError, attach, as_stored(model), file), file, "i2i groups")

    def test_a_group_instead_of_a_model(self, kid, registry) -> None:
        mentions(self.refused(CheckpointError, i2i.load, kid, registry), kid, "kid", "i2i groups attach")

    def test_removing_the_base_the_last_or_an_unknown_one(self, tiny, registry, model) -> None:
        whole, one = as_stored(model), as_stored(made(tiny, registry, ["man"]))
        mentions(self.refused(ConfigError, whole.without, "woman"), "woman")
        mentions(self.refused(ConfigError, one.without, "man"), "man")
        mentions(self.refused(ConfigError, whole.without, "kidd"), "kidd", "kid", "woman", "man")

    def test_exporting_what_is_no_groups_own(self, tiny, registry, model, tmp_path) -> None:
        out = tmp_path / "out.safetensors"
        mentions(self.refused(ConfigError, export, as_stored(model), "woman", out), "woman")
        none = as_stored(made(tiny, registry, ["man"], transfer={"name": "none"}))
        mentions(self.refused(ConfigError, export, none, "man", out), "man")
        assert not out.exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory, folder_root, registry):
    given = {"size": 32, "batch_size": 2, "steps": 1, "transfer_steps": 1, "device": "cpu",
             "backbone": {"channels": 4}, "generator": {"blocks": 1}, "evaluate": {"metrics": ["l1"]},
             "data": {"name": "folder", "root": str(folder_root)}}  # fmt: skip
    folder = tmp_path_factory.mktemp("groups") / "run"
    create_run(folder, given, registry).execute()
    return folder


class TestRunFolders:
    def test_a_transfer_writes_a_file_a_group(self, trained, registry, tmp_path) -> None:
        assert sorted(path.name for path in (trained / "groups").iterdir()) == ["kid.safetensors", "man.safetensors"]
        export(open_model(trained, registry), "kid", tmp_path / "kid.safetensors", judges=False)
        assert (tmp_path / "kid.safetensors").read_bytes() == (trained / "groups" / "kid.safetensors").read_bytes()

    def test_a_changed_copy_is_a_run_that_is_done(self, trained, registry, tmp_path) -> None:
        before = (trained / "model.safetensors").read_bytes()
        keep(open_model(trained, registry).without("man"), trained, tmp_path / "two")
        names = sorted(path.name for path in (tmp_path / "two").iterdir())
        assert names == ["base.safetensors", "groups", "model.safetensors", "run.toml"]
        assert [path.name for path in (tmp_path / "two" / "groups").iterdir()] == ["kid.safetensors"]
        Run(tmp_path / "two", registry).execute()
        assert i2i.load(tmp_path / "two", registry).groups == ("woman", "kid")
        assert (trained / "model.safetensors").read_bytes() == before

    def test_a_place_that_is_taken_is_left_alone(self, trained, registry, tmp_path) -> None:
        (tmp_path / "two").mkdir()
        (tmp_path / "two" / "precious").write_text("x")
        with refused(ConfigError, tmp_path / "two"):
            keep(open_model(trained, registry).without("man"), trained, tmp_path / "two")
        with refused(ConfigError, trained):
            keep(open_model(trained, registry).without("man"), trained, trained, overwrite=True)
