"""The conformance suites, run on every installed backbone and on one from outside."""

from __future__ import annotations

from pydantic import Field

from i2i.contracts.backbone import Backbone
from i2i.registry.registry import installed
from i2i.testing import BackboneTests

SMALL = {"backbone": {"channels": 4}, "generator": {"blocks": 1}}


class Pix(Backbone):
    """A backbone from outside, not installed, with registered parts and a different objective."""

    name = "pix"
    objective = {"adversarial": {"mode": "hinge"}, "cycle": 5.0}
    first = "generator"

    class Config(Backbone.Config):
        generator: str = Field("resnet")
        discriminator: str = Field("patch")


class TestPix(BackboneTests):
    backbone = Pix
    options = SMALL


for _name in installed().names(Backbone):
    _narrow = {"backbone": {"channels": 4}}  # the only option that every backbone has
    _attributes = {"backbone": installed().get(Backbone, _name), "options": _narrow}
    _attributes["test_goes_with_every_transfer"] = None  # tested by tests/test_combinations.py
    _suite = type(f"Test_{_name}", (BackboneTests,), _attributes)
    globals()[_suite.__name__] = _suite
