from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from i2i.compute.randomness import random_state
from i2i.config.options import Options
from i2i.contracts.branches import branch_parameters
from i2i.contracts.metric import Metric, Score
from i2i.contracts.scores import Judgement
from i2i.errors import ConfigError, PluginError, UnknownComponentError, WeightsError
from i2i.evaluation import heldout
from i2i.evaluation.scoring import Evaluation, evaluate
from i2i.hooks import hookimpl
from i2i.models.assembly import resolve
from i2i.models.model import Model
from i2i.registry.registry import Registry
from i2i.testing import Noise
from tests.conftest import write_noise
from tests.wording import check, refused

GROUPS = ("woman", "man")
PLAIN = ("l1", "ssim")


class Paired(Noise):
    """Noise whose training images are also its held-out pairs."""

    def pairs(self, group):
        return list(zip(self.train(group, "a"), self.train(group, "b"), strict=True))


class HeldOut(Noise):
    """Noise with three held-out images of each domain: of the man only one drawing."""

    def __init__(self, folder, groups=GROUPS):
        super().__init__(folder, groups)
        write_noise(folder / "held-out", 6)
        self.unseen = sorted((folder / "held-out").iterdir())

    def test(self, group, domain):
        if domain == "a":
            return self.unseen[:3]
        return self.unseen[3:] if group == self.base else self.unseen[5:]


class Measured(Metric):
    """Remembers what it is asked, and answers the mean brightness of the translations."""

    name = "brightness"
    network = "eye"
    resize = "none"
    asked = []

    class Config(Options):
        gain: float = 1.0

    def score(self, case):
        type(self).asked.append(case)
        torch.rand(1)
        assert not torch.is_grad_enabled()
        value = self.config.gain * case.fake.whole().mean().item()
        return Score(value, value - 1, value + 1, len(case.fake))


def providing(*metrics):
    """Return a registry with nothing but these metrics beside what is installed."""

    class Provider:
        @hookimpl
        def register_metrics(self):
            return metrics

    registry = Registry()
    registry.add(Provider(), "provider")
    return registry


def metric(**attributes):
    """Return a metric of its own with class attributes."""
    return type("Own", (Measured,), {"asked": [], **attributes})


@pytest.fixture
def data(tmp_path):
    return Paired(tmp_path, GROUPS)


@pytest.fixture
def held_out(tmp_path):
    return HeldOut(tmp_path)


@pytest.fixture
def model(tiny, registry):
    torch.manual_seed(0)
    return Model(resolve(tiny, registry), "woman", ["man"])


def scatter(model, group):
    with torch.no_grad():
        for parameter in branch_parameters(model.backbone.generators, [group]):
            parameter.add_(torch.randn_like(parameter))


def test_every_group_is_scored_by_its_own_branch(model, data, registry):
    evaluation = Evaluation(data, registry, PLAIN)
    before = evaluation.scores(model)
    scatter(model, "man")
    after = evaluation.scores(model)
    assert after["woman"] == before["woman"]
    assert after["man"] != before["man"]
    assert {score.n for own in after.values() for score in own.values()} == {2}


def test_a_base_model_stands_in_for_groups_it_does_not_know(tiny, registry, data):
    base = Model(resolve(tiny, registry), "woman")
    assert set(evaluate(base, data, registry, PLAIN)) == set(GROUPS)


def test_groups_without_held_out_sources_have_no_scores(model, tmp_path, registry):
    assert evaluate(model, Noise(tmp_path, GROUPS), registry) == {}


def test_without_names_every_metric_judges(model, data, registry):
    wanted = {name for name in registry.names(Metric) if registry.get(Metric, name).by_default}
    assert evaluate(model, data, registry)["woman"].keys() == wanted
    assert "frechet" not in wanted
    assert set(evaluate(model, data, registry, ["frechet"])["woman"]) == {"frechet"}


class TestRealDrawingsAndUntranslated:
    def test_of_a_paired_metric_are_truths_and_sources_in_place_of_translations(self, model, data, registry):
        found = evaluate(model, data, registry, PLAIN)["man"]
        assert found["l1"].real_drawings == Score(0, 0, 0, 2)
        assert found["ssim"].real_drawings == Score(1, 1, 1, 2)
        pixels = [[_read(path) for path in pair] for pair in data.pairs("man")]
        distances = [(source - truth).abs().mean().item() for source, truth in pixels]
        assert found["l1"].untranslated.value == pytest.approx(sum(distances) / 2, abs=1e-6)
        assert (found["l1"].split, found["l1"].higher_is_better) == ("held-out pairs", False)
        assert found["ssim"].higher_is_better

    def test_of_another_metric_are_as_many_training_drawings_as_there_are_translations(self, model, tmp_path):
        own = metric(fewest_real=1)
        data = HeldOut(tmp_path)
        data.unseen = data.unseen[:1] + data.unseen[3:]
        data.test = lambda group, domain: data.unseen[:1] if domain == "a" else data.unseen[1:]
        found = evaluate(model, data, providing(own), ["brightness"])["man"]["brightness"]
        fake, real, source = own.asked[-3:]
        assert real.fake.names == real.source.names == [str(data.train("man", "b")[0])]
        assert found.real_drawings.value == pytest.approx(_read(data.train("man", "b")[0]).mean().item(), abs=1e-6)
        assert source.fake is source.source
        assert found.untranslated.value == pytest.approx(_read(data.unseen[0]).mean().item(), abs=1e-6)
        assert fake.real.names == real.real.names == source.real.names == [str(path) for path in data.unseen[1:]]
        check(found.split, "held-out", "sources", "drawings")

    def test_of_a_metric_that_looks_at_sources_keep_the_truth_beside_its_source(self, model, data):
        own = metric(to_source=True)
        found = evaluate(model, data, providing(own), ["brightness"])["man"]["brightness"]
        assert own.asked[1].fake is own.asked[1].truth
        assert own.asked[1].source is own.asked[0].source
        assert found.split == "held-out sources"

    def test_real_drawings_have_no_score_without_the_truth(self, model, held_out):
        found = evaluate(model, held_out, providing(metric(to_source=True)), ["brightness"])["man"]["brightness"]
        assert found.real_drawings is None
        assert found.untranslated is not None

    def test_real_drawings_have_no_score_where_they_are_too_few(self, model, held_out):
        found = evaluate(model, held_out, providing(metric(fewest=3)), ["brightness"])["man"]["brightness"]
        assert found.n == 3
        assert found.real_drawings is None

    def test_are_computed_once_for_a_size(self, model, held_out):
        own = metric()
        evaluation = Evaluation(held_out, providing(own), ["brightness"])
        first = evaluation.scores(model)
        assert len(own.asked) == 6  # translations, drawings and sources of two groups
        scatter(model, "man")
        second = evaluation.scores(model)
        assert len(own.asked) == 8
        assert first["man"]["brightness"].value != second["man"]["brightness"].value
        assert first["man"]["brightness"].real_drawings == second["man"]["brightness"].real_drawings


def test_a_case_holds_what_metrics_ask_for(model, held_out):
    own = metric()
    evaluate(model, held_out, providing(own), ["brightness"])
    case = own.asked[3]
    assert (case.group, case.truth) == ("man", None)
    assert case.fake.key == ""
    assert all(len(images.key) == 64 for images in (case.source, case.real, *case.drawings.values()))
    assert list(case.drawings) == list(GROUPS)
    assert case.fake.names == case.source.names == [str(path) for path in held_out.unseen[:3]]
    assert torch.equal(case.fake.whole(), model.translate(case.source.whole(), "man"))


def test_every_file_of_drawings_is_read_once_for_its_key(model, held_out, monkeypatch):
    read = []
    monkeypatch.setattr(heldout, "digest", lambda path: read.append(path) or "0")
    evaluate(model, held_out, providing(metric(fewest=9)), ["brightness"])
    drawings = [path for group in GROUPS for path in held_out.train(group, "b")]
    assert [read.count(path) for path in drawings] == [1, 1, 1, 1]


def test_says_what_it_was_measured_by(model, held_out):
    found = evaluate(model, held_out, providing(metric()), ["brightness"])["man"]["brightness"]
    assert (found.network, found.resize, found.split, found.note) == ("eye", "none", "held-out sources", "")


@pytest.mark.parametrize(("designs", "note"), [("aaa", "of 1 design"), ("aba", "of 2 designs"), ("abc", "")])
def test_says_of_how_few_designs_the_images_are(model, held_out, monkeypatch, designs, note):
    monkeypatch.setattr(held_out, "design", lambda path: dict(zip("012345", designs * 2, strict=True)).get(path.stem))
    found = evaluate(model, held_out, providing(metric()), ["brightness"])["man"]["brightness"]
    assert (found.n, found.note) == (3, note)


@pytest.mark.parametrize("training", [True, False])
def test_leaves_no_trace(model, held_out, training):
    model.backbone.train(training)
    state = random_state()
    evaluate(model, held_out, providing(metric()), ["brightness"])
    assert model.backbone.training == training
    assert all(torch.equal(state[name], tensor) for name, tensor in random_state().items())


class TestParts:
    """What a metric consists of is judged like the metric, under its name and the part's."""

    def find(self, model, data, parts):
        own = metric(parts=parts)
        return evaluate(model, data, providing(own), ["brightness"])["man"], own.asked[-3:]

    def test_follow_the_metric_with_their_own_marks(self, model, held_out):
        def parts(self, case):
            values = case.fake.whole().flatten(1)
            return {"least": Score(values.min().item(), -1, 1, 3), "most": Score(values.max().item(), -1, 1, 3)}

        found, (fake, real, source) = self.find(model, held_out, parts)
        assert [*found] == ["brightness", "brightness.least", "brightness.most"]
        most = found["brightness.most"]
        assert (most.value, most.low, most.high, most.n) == (fake.fake.whole().max().item(), -1, 1, 3)
        assert most.real_drawings.value == real.fake.whole().max().item()
        assert most.untranslated.value == source.fake.whole().max().item()
        assert (most.network, most.resize, most.split) == ("eye", "none", "held-out sources")

    def test_may_be_missing_in_one_case(self, model, held_out):
        """As where no real drawing has the part."""

        def parts(self, case):
            return {"hats": Score(0.5, 0, 1, 3)} if case.fake.key == "" else {}

        found, _ = self.find(model, held_out, parts)
        assert (found["brightness.hats"].value, found["brightness.hats"].untranslated) == (0.5, None)

    def test_that_are_no_numbers_say_so(self, model, held_out):
        found, _ = self.find(model, held_out, lambda self, case: {"hats": Score(float("nan"), 0, 0, 3)})
        assert found["brightness"].value is not None
        assert found["brightness.hats"].value is None
        check(found["brightness.hats"].note, "brightness.hats")

    def test_must_be_scores(self, model, held_out):
        with refused(PluginError, "provider", "brightness", "TypeError"):
            self.find(model, held_out, lambda self, case: {"hats": 0.5})


class TestNotes:
    """Why there is no value."""

    def find(self, model, data, **attributes):
        return evaluate(model, data, providing(metric(**attributes)))["man"]["brightness"]

    def test_too_few_translations(self, model, held_out):
        found = self.find(model, held_out, fewest=4)
        assert found == Judgement(note=found.note)
        check(found.note, "brightness", "3 of 4")

    def test_too_few_held_out_drawings(self, model, held_out):
        found = self.find(model, held_out, fewest_real=2)
        assert found == Judgement(note=found.note)
        check(found.note, "brightness", "1 of 2")

    def test_no_pairs(self, model, held_out):
        found = self.find(model, held_out, paired=True)
        assert found == Judgement(note=found.note)
        check(found.note, "brightness")

    def test_no_number(self, model, held_out):
        def score(self, case):
            return Score(float("nan"), 0, 0, 3)

        found = self.find(model, held_out, score=score, higher_is_better=True)
        assert (found.value, found.n) == (None, 3)
        check(found.note, "brightness")
        assert found.real_drawings is found.untranslated is None
        assert found.higher_is_better

    def test_no_weights(self, model, held_out):
        check(self.find(model, held_out, prepare=_weightless).note, "Eye")

    def test_nothing_is_translated_where_no_metric_can_judge(self, model, held_out, monkeypatch):
        monkeypatch.setattr(model, "translate", None)
        registry = providing(metric(name="none", fewest=9))
        for name in registry.names(Metric):
            monkeypatch.setattr(registry.get(Metric, name), "fewest", 9)
        assert all(own.note for own in evaluate(model, held_out, registry)["man"].values())


class TestNamedMetrics:
    def test_are_the_only_ones(self, model, data, registry):
        assert [*evaluate(model, data, registry, ["ssim"])["man"]] == ["ssim"]

    def test_must_exist(self, data, registry):
        with refused(UnknownComponentError, "sim", "ssim"):
            Evaluation(data, registry, ["sim"])
        with refused(UnknownComponentError, "sim"):
            Evaluation(data, registry, options={"sim": {}})

    def test_must_have_their_weights(self, model, held_out):
        with refused(WeightsError, "Eye"):
            evaluate(model, held_out, providing(metric(prepare=_weightless)), ["brightness"])

    def test_that_are_given_options_are_tried_before_training(self, held_out):
        def refuse(self, pretrained, device):
            raise ConfigError("It has no maps.")

        for built, told in ((refuse, pytest.raises(ConfigError, match="no maps")), (_weightless, nullcontext())):
            registry = providing(metric(prepare=built))
            Evaluation(held_out, registry).load(torch.device("cpu"))
            with told:
                Evaluation(held_out, registry, options={"brightness": {"gain": 2}}).load(torch.device("cpu"))

    def test_take_options(self, model, held_out):
        registry = providing(metric())
        once, twice = (
            evaluate(model, held_out, registry, ["brightness"], {"brightness": {"gain": gain}})["man"]["brightness"]
            for gain in (1, 2)
        )
        assert twice.value == pytest.approx(2 * once.value)
        with refused(ConfigError, "brightness", "gian", "gain"):
            Evaluation(held_out, registry, options={"brightness": {"gian": 2}})


@pytest.mark.parametrize(
    "wrong", ["good", None, 1.0, Score("good", 0, 1, 2)], ids=["word", "nothing", "number", "value"]
)
def test_a_metric_that_returns_no_score_is_named(model, data, wrong):
    class Chatty(Metric):
        name = "chatty"

        def score(self, case):
            return wrong

    with refused(PluginError, "provider", "chatty", "TypeError"):
        evaluate(model, data, providing(Chatty), ["chatty"])


def test_a_metric_that_raises_is_named(model, data):
    class Nervous(Metric):
        name = "nervous"

        def score(self, case):
            raise ZeroDivisionError("by zero")

    with refused(PluginError, "provider", "nervous", "ZeroDivisionError"):
        evaluate(model, data, providing(Nervous), ["nervous"])


def _weightless(self, pretrained, device):
    raise WeightsError("The weights of Eye are nowhere. Get them.")


def _read(path):
    from i2i.evaluation.heldout import stack

    return stack([path], 32)[0]
