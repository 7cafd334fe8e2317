"""How many attributes of its source a translation keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from i2i_metrics.attributes import Attributes, _shrunk

from .conftest import case, images

COLOURS = {"red": (1.0, -1.0, -1.0), "green": (-1.0, 1.0, -1.0), "blue": (-1.0, -1.0, 1.0)}
SHADES = {"dark": 0.3, "middle": 0.5, "bright": 0.7}


def drawn(*people, name="d"):
    """Return an image for each pair of colour and shade, with a little noise."""
    noise = torch.rand(len(people), 3, 32, 32, generator=torch.Generator().manual_seed(len(people))) * 0.05
    tints = [[SHADES[shade] * channel for channel in COLOURS[colour]] for colour, shade in people]
    known = [{"colour": colour, "shade": shade} for colour, shade in people]
    pictures = images(torch.tensor(tints)[..., None, None] + noise, [f"{name}{i}" for i in range(len(people))])
    return replace(pictures, attributes=known)


@pytest.fixture
def metric():
    return Attributes(Attributes.Config(side=4))


@pytest.fixture
def drawings():
    everybody = [(colour, shade) for colour in COLOURS for shade in SHADES] * 6
    return {"woman": drawn(*everybody, name="w"), "man": drawn(*everybody[::4], name="m")}


def judged(drawings, shown, wanted):
    """Return the case of translations that look like ``shown``, of sources that are ``wanted``."""
    fake, source = drawn(*shown, name="s"), drawn(*wanted, name="s")
    return replace(case(torch.zeros(1, 3, 32, 32), drawings=drawings), fake=fake, source=source)


def test_the_score_is_the_share_of_attributes_kept(metric, drawings):
    wanted = [("red", "dark"), ("green", "middle"), ("blue", "bright"), ("red", "middle")]
    assert metric.score(judged(drawings, wanted, wanted)).value == 1
    recoloured = [("green", "dark"), ("blue", "middle"), ("red", "bright"), ("blue", "middle")]
    assert metric.score(judged(drawings, recoloured, wanted)).value == 0.5
    half = [wanted[0], wanted[1], ("red", "dark"), ("blue", "bright")]
    assert metric.score(judged(drawings, half, wanted)).value == 0.5
    assert metric.score(judged(drawings, [("green", "bright")] * 4, wanted)).value == 0.25


def test_only_what_is_known_of_a_source_counts(metric, drawings):
    mixed = judged(drawings, [("red", "dark"), ("red", "dark")], [("red", "bright"), ("red", "dark")])
    known = [{"colour": "red", "hat": "yes"}, {}]
    score = metric.score(replace(mixed, source=replace(mixed.source, attributes=known)))
    assert (score.value, score.n) == (1, 1)


def test_each_attribute_has_a_score_of_its_own(metric, drawings):
    mixed = judged(drawings, [("green", "dark"), ("blue", "middle")], [("red", "dark"), ("blue", "middle")])
    parts = metric.parts(mixed)
    assert {name: (part.value, part.n) for name, part in parts.items()} == {"colour": (0.5, 2), "shade": (1, 2)}
    assert parts["colour"].low < 0.5 < parts["colour"].high
    known = [{"colour": "red"}, {"shade": "middle"}]
    parts = metric.parts(replace(mixed, source=replace(mixed.source, attributes=known)))
    assert {name: (part.value, part.n) for name, part in parts.items()} == {"colour": (0, 1), "shade": (1, 1)}


def test_no_drawing_is_judged_by_a_classifier_that_has_seen_it(noise):
    """What is said of noise can be repeated by a classifier that has seen it, and only guessed by another."""
    metric = Attributes(Attributes.Config())
    known = [{"hat": "yes" if number % 2 else "no"} for number in range(60)]
    drawings = replace(images(noise(60, 3, 32, 32), [f"n{number}" for number in range(60)]), attributes=known)
    real = replace(case(torch.zeros(1, 3, 32, 32), drawings={"man": drawings}), fake=drawings, source=drawings)
    assert 0.25 < metric.score(real).value < 0.75
    seen = metric._fit(_shrunk(drawings, 16), known, list(range(60)))["hat"](_shrunk(drawings, 16))
    assert seen == [own["hat"] for own in known]


def test_a_classifier_is_fitted_once(metric, drawings, monkeypatch):
    keyed = {group: replace(own, key=group) for group, own in drawings.items()}
    first = judged(keyed, [("red", "dark")], [("red", "dark")])
    score = metric.score(first)
    monkeypatch.setattr(metric, "_fit", None)
    assert metric.score(first) == score
    with pytest.raises(TypeError):
        metric.score(judged({"man": keyed["man"]}, [("red", "dark")], [("red", "dark")]))


def test_where_nothing_is_known_it_says_so(metric, drawings):
    known = judged(drawings, [("red", "dark")], [("red", "dark")])
    assert metric.obstacle(known) == ""
    unknown = replace(known, source=replace(known.source, attributes=()))
    assert metric.obstacle(unknown) == "the data knows no attributes of the sources"
    alike = replace(known, drawings={"man": drawn(*[("red", "dark")] * 3)})
    assert metric.obstacle(alike) == "no attribute of the sources has two values among the drawings"
