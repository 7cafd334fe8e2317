"""photo2cartoon as a backbone."""

from __future__ import annotations

from i2i.errors import ConfigError
from i2i.models.assembly import resolve
from i2i_photo2cartoon.model import Photo2Cartoon
from tests.wording import refused


def test_published_defaults():
    config = Photo2Cartoon.Config()
    assert (config.channels, config.lr, config.betas, config.weight_decay) == (32, 1e-4, (0.5, 0.999), 1e-4)
    assert (Photo2Cartoon.first, config.light) == ("discriminator", True)
    assert Photo2Cartoon.objective == {"adversarial": 1, "cycle": 50, "identity": 10, "cam": 1000}


def test_generator_and_discriminator_take_width_and_kind_from_the_backbone(registry):
    given = {"preset": "paper", "backbone": {"name": "photo2cartoon", "light": False}}
    chosen = resolve(given, registry)
    assert (chosen.generator.options.channels, chosen.discriminator.options.channels) == (32, 32)
    assert (chosen.generator.options.light, chosen.config.size) == (False, 256)


def test_the_quick_presets_narrow_discriminators_give_way_to_a_width_that_is_given(registry):
    widths = {}
    for given in ({}, {"channels": 4}):
        chosen = resolve({"backbone": {"name": "photo2cartoon", **given}}, registry)
        widths[len(given)] = (chosen.generator.options.channels, chosen.discriminator.options.channels)
    assert widths == {0: (16, 8), 1: (4, 4)}
    both = {"backbone": {"name": "photo2cartoon", "channels": 4}, "discriminator": {"channels": 12}}
    assert resolve(both, registry).discriminator.options.channels == 12


def test_sizes_have_to_divide_by_16(registry):
    with refused(ConfigError, "photo2cartoon", 16, 40, "--size 32"):
        resolve({"backbone": {"name": "photo2cartoon"}, "size": 40}, registry)
