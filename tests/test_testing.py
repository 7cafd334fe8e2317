"""The conformance suites, over every backbone that the registry holds, and over a stranger's."""

from __future__ import annotations

from pydantic import Field

from i2i.contracts.backbone import Backbone
from i2i.registry.registry import installed
from i2i.testing import BackboneTests

SMALL = {"backbone": {"channels": 4}, "generator": {"blocks": 1}}


class Pix(Backbone):
    """A stranger's backbone, not installed: registered parts, its own objective."""

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
    _narrow = {"backbone": {"channels": 4}}  # all that every backbone has
    _own = {"backbone": installed().get(Backbone, _name), "options": _narrow}
    _own["test_goes_with_every_transfer"] = None  # tests/test_combinations.py has each of them
    _suite = type(f"Test_{_name}", (BackboneTests,), _own)
    globals()[_suite.__name__] = _suite
