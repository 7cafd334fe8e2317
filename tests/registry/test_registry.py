"""Discovery of really installed plugins, isolation of broken ones, and look-ups."""

from __future__ import annotations

import re

import pytest

import i2i
from i2i import Backbone, Dataset, Metric
from i2i.cli import application
from i2i.contracts.loss import Loss
from i2i.errors import PluginError, UnknownComponentError
from i2i.hooks import hookimpl
from i2i.registry.kinds import KINDS
from i2i.registry.registry import Registry, installed
from tests.wording import check, mentions, refused

GOOD = """
    from i2i import Loss, hookimpl

    class Tv(Loss):
        "Total variation."
        name = "tv"
        needs = frozenset({"fake"})

    @hookimpl
    def register_losses():
        return [Tv]
"""
CYCLE = GOOD.replace('"tv"', '"cycle"')
BROKEN = {
    "import": ("raise OSError('the disk\\n  is full')", ["OSError: the disk is full"]),
    "exit": ("raise SystemExit(3)", ["SystemExit: 3"]),
    "interrupt": ("raise KeyboardInterrupt('no')", ["KeyboardInterrupt: no"]),
    "base": ("class Odd(BaseException): ...\nraise Odd('no')", ["Odd: no"]),
    "markup": (GOOD.replace('"tv"', '"a b [red]"'), ["register_losses", "'a b [red]'"]),
    "option": (GOOD.replace('"tv"', '"--steps"'), ["register_losses", "'--steps'"]),
    "options": (GOOD.replace('name = "tv"', 'name = "tv"; Config = dict'), ["tv", "<class 'dict'>", "i2i.Loss.Config"]),
    "syntax": ("def (", ["SyntaxError"]),
    "typo": (
        GOOD.replace("register_losses", "register_loses"),
        ["'register_loses'", "'register_losses'"],
    ),
    "argument": (
        GOOD + "\n    @hookimpl\n    def on_step(run, stepp):\n        pass\n",
        ["on_step", "stepp"],
    ),
    "hook": (GOOD.replace("return [Tv]", "return [Tvv]"), ["NameError", "Tvv"]),
    "instance": (
        GOOD.replace("return [Tv]", "return [Tv(Tv.Config())]"),
        ["register_losses", "<my_plugin.Tv object at", "i2i.Loss"],
    ),
    "other": (
        GOOD.replace("return [Tv]", "return [dict]"),
        ["register_losses", "<class 'dict'>", "i2i.Loss"],
    ),
    "class": (
        GOOD.replace("return [Tv]", "return Tv"),
        ["register_losses", "<class 'my_plugin.Tv'>"],
    ),
    "nameless": (
        GOOD.replace('name = "tv"', ""),
        ["register_losses", "Tv", 'name = "..."'],
    ),
}


@pytest.fixture(params=BROKEN)
def broken(request, install) -> list[str]:
    """What the error of the broken plugin must name."""
    code, named = BROKEN[request.param]
    install("my-plugin", code, "0.3")
    return named


def find(registry: Registry, name: str):
    return next(plugin for plugin in registry.plugins if plugin.name == name)


def test_everything_shipped_comes_through_entry_points(registry) -> None:
    registry.load_components()
    assert {p.name for p in registry.plugins} >= {"losses", "ugatit", "cyclegan", "transfer", "data", "metrics"}
    assert [p.error for p in registry.plugins if p.error] == []
    assert [p.conflicts for p in registry.plugins if p.conflicts] == []
    lacking = {kind.name for kind in KINDS if not registry.names(getattr(i2i, kind.contract))}
    assert lacking == {"group", "detector"}  # left to others


def test_an_installed_plugin_takes_part(install) -> None:
    install("my-plugin", GOOD, "0.3")
    registry = Registry()
    assert registry.get(Loss, "tv").__name__ == "Tv"
    assert "tv" in registry.names(Loss)
    assert registry.provider(Loss, "tv") == "my-plugin 0.3"
    plugin = find(registry, "my-plugin")
    assert (plugin.hooks, plugin.components) == (("register_losses",), {"loss": ["tv"]})
    assert registry.provided_by(plugin) == [("loss", registry.get(Loss, "tv"))]


def test_a_broken_plugin_is_remembered_and_the_rest_works_on(broken) -> None:
    registry = Registry()
    registry.load_components()
    plugin = find(registry, "my-plugin")
    mentions(plugin.error, *broken)
    assert "\n" not in plugin.error
    assert (plugin.distribution, plugin.components) == ("my-plugin 0.3", {})
    assert registry.provided_by(plugin) == []
    assert not registry.hooks.has_plugin("my-plugin")
    assert registry.get(Backbone, "ugatit").name == "ugatit"
    assert {"adversarial", "cam", "cycle", "group", "identity"} <= set(registry.names(Loss))
    assert "tv" not in registry.names(Loss)


def test_asking_for_what_only_a_broken_plugin_provides_names_it(broken) -> None:
    with refused(UnknownComponentError, "tv", "my-plugin", "0.3", *broken):
        Registry().get(Loss, "tv")


def test_strict_refuses_a_broken_plugin(broken) -> None:
    with refused(PluginError, "my-plugin", "0.3", "I2I_DISABLE_PLUGINS=my-plugin", *broken):
        Registry(strict=True).load_components()


def test_a_registry_becomes_strict(broken) -> None:
    registry = Registry()
    registry.load_components()
    for _ in range(2):
        with refused(PluginError, "my-plugin 0.3", "I2I_DISABLE_PLUGINS=my-plugin", *broken) as error:
            registry.refuse_broken()
        assert error.value.__cause__ is not None, "--debug shows where the plugin failed"


def test_strict_registry_stays_strict_after_a_failure(install) -> None:
    install("my-plugin", CYCLE)
    registry = Registry(strict=True)
    with refused(PluginError, "cycle", "my-plugin"):
        registry.load_components()
    assert registry.get(Backbone, "ugatit").name == "ugatit"


def test_a_disabled_plugin_is_not_even_imported(install, monkeypatch) -> None:
    install("my-plugin", "raise SystemExit('imported')")
    monkeypatch.setenv("I2I_DISABLE_PLUGINS", " other, my-plugin ")
    monkeypatch.setenv("I2I_STRICT_PLUGINS", "1")
    assert "my-plugin" not in [p.name for p in installed().plugins]


class TestConflicts:
    OWNERS = ("losses", "i2i 0.1.0", "my-plugin", "my-plugin 1.0")

    @pytest.fixture(autouse=True)
    def _plugin(self, install) -> None:
        install("my-plugin", CYCLE)

    def test_a_name_of_two_other_plugins_is_refused_with_both_distributions(self, install) -> None:
        for name in ("first", "second"):
            install(name, GOOD)
        for ask in (lambda name: Registry().get(Loss, name), lambda name: Registry().provider(Loss, name)):
            with refused(PluginError, "tv", "first 1.0", "second 1.0", "first:tv", "I2I_DISABLE_PLUGINS"):
                ask("tv")
        assert "tv" not in Registry().names(Loss)
        assert Registry().get(Loss, "second:tv").__module__ == "second"

    def test_ours_keeps_its_name_and_both_have_a_full_one(self) -> None:
        registry = Registry()
        ours = registry.get(Loss, "cycle")
        assert ours.__module__ == "i2i_losses.terms"
        assert registry.get(Loss, "i2i:cycle") is ours
        assert registry.get(Loss, "my-plugin:cycle").__module__ == "my_plugin"
        assert registry.provider(Loss, "my-plugin:cycle") == "my-plugin 1.0"
        with refused(UnknownComponentError, "other:cycle"):
            registry.get(Loss, "other:cycle")

    def test_all_names_work(self) -> None:
        registry = Registry()
        assert {"adversarial", "cam", "cycle", "group", "identity"} <= set(registry.names(Loss))
        assert registry.get(Loss, "identity").name == "identity"
        assert not any(p.error for p in registry.plugins)
        conflicts = {p.name: p.conflicts for p in registry.plugins if p.conflicts}
        assert sorted(conflicts) == ["losses", "my-plugin"]
        for [message] in conflicts.values():
            mentions(message, "cycle", *self.OWNERS)
            check(message)

    def test_both_still_show_what_they_provide(self) -> None:
        registry = Registry()
        for plugin in ("my-plugin", "losses"):
            assert ("loss", "cycle") in [(k, c.name) for k, c in registry.provided_by(find(registry, plugin))]

    def test_disabling_one_settles_it(self) -> None:
        assert Registry(disabled=["my-plugin"]).get(Loss, "cycle").__module__ == "i2i_losses.terms"
        assert Registry(disabled=["losses"]).get(Loss, "cycle").__module__ == "my_plugin"

    def test_strict_refuses(self) -> None:
        with refused(PluginError, "cycle", *self.OWNERS):
            Registry(strict=True).load_components()


def test_two_plugins_of_one_name_leave_the_first_intact(install) -> None:
    install("evil-twin", GOOD, "6.6", plugin="ugatit")
    registry = Registry()
    errors = {plugin.distribution: plugin.error for plugin in registry.plugins if plugin.name == "ugatit"}
    assert sorted(errors) == ["evil-twin 6.6", "i2i 0.1.0"]
    (refusal,) = filter(None, errors.values())
    check(refusal, next(distribution for distribution, error in errors.items() if not error))


def test_a_look_up_names_the_nearest(registry) -> None:
    for contract, wrong, right in ((Backbone, "ugatti", "ugatit"), (Metric, "l2", "l1"), (Loss, "cyle", "cycle")):
        kind = contract.__name__.lower()
        with refused(UnknownComponentError, kind, wrong, right):
            registry.get(contract, wrong)
    with refused(UnknownComponentError, "fodler", "folder"):
        registry.get(Dataset, "fodler")


def test_a_plugin_can_be_added_without_installing_it() -> None:
    class Tv(Loss):
        name = "tv"
        needs = frozenset({"fake"})

    class Mine:
        @hookimpl
        def register_losses(self):
            return [Tv]

    registry = Registry()
    registry.load_components()
    registry.add(Mine(), "mine")
    assert registry.get(Loss, "tv") is Tv
    assert registry.provider(Loss, "tv") == "this process"
    assert registry.get(Loss, "cycle").name == "cycle"


@pytest.mark.parametrize(
    ("hook", "code", "message"),
    [
        ("register_losses", "needs = frozenset({'fakes'})", r"loss 'odd' lists 'fakes' in needs\. Did you mean 'fake'"),
        (
            "register_generators",
            "provides = frozenset({'cams'})",
            r"generator 'odd' lists 'cams' .* Did you mean 'cam'",
        ),
        (
            "register_transfers",
            "provides = frozenset({'groups'})",
            r"transfer 'odd' lists 'groups' .*Did you mean 'group'",
        ),
        ("register_backbones", "requires = frozenset({'latents'})", r"backbone 'odd' lists 'latents' in requires"),
    ],
)
def test_a_mistyped_pass_is_refused_when_the_plugin_registers(install, hook, code, message) -> None:
    contract = {"losses": "Loss"}.get(kind := hook.removeprefix("register_"), kind.removesuffix("s").capitalize())
    install(
        "my-plugin",
        f"""
        from i2i import {contract}, hookimpl

        class Odd({contract}):
            name = "odd"
            {code}

        @hookimpl
        def {hook}():
            return [Odd]
        """,
    )
    registry = Registry()
    registry.load_components()
    assert re.search(message, find(registry, "my-plugin").error)


def test_disabled_plugins_are_left_out_of_every_registry(monkeypatch) -> None:
    monkeypatch.setenv("I2I_DISABLE_PLUGINS", "unit, cyclegan")
    assert not {"unit", "cyclegan"} & {plugin.name for plugin in Registry().plugins}
    assert "unit" in {plugin.name for plugin in Registry(disabled=()).plugins}


def test_what_is_no_contract_is_refused(registry) -> None:
    with refused(LookupError, "Translation"):
        registry.names(i2i.Translation)


@pytest.mark.parametrize("content", ["[i2i]\nno equals sign\n", "[i2i]\nx = \n", "[i2i\n", "[i2i]\n= y\n", "\0"])
def test_a_malformed_list_of_entry_points_spares_the_others(install, tmp_path, content) -> None:
    install("good-plugin", GOOD)
    install("bad-plugin", "")
    (tmp_path / "site-packages" / "bad_plugin-1.0.dist-info" / "entry_points.txt").write_text(content)
    registry = Registry()
    assert registry.get(Loss, "tv").__module__ == "good_plugin"
    assert registry.get(Loss, "cycle")


def test_a_plugin_cannot_close_the_streams(install, capsys) -> None:
    install(
        "my-plugin",
        GOOD.replace(
            "    from i2i", "    import sys; sys.stdout.close(); sys.stderr.close(); sys.stdout = None\n    from i2i", 1
        ),
    )
    Registry().get(Loss, "tv")
    print("still open")
    assert capsys.readouterr().out == "still open\n"


COMMAND = """
    from i2i import hookimpl

    @hookimpl
    def register_commands(app):
        @app.command({name!r})
        def other():
            "Do something else."
"""


@pytest.mark.parametrize("name", ["run", "groups", "hello"])
def test_a_command_that_replaces_another_is_refused(install, name) -> None:
    install("a-plugin", COMMAND.format(name="hello"))
    install("b-plugin", COMMAND.format(name=name))
    registry = installed()
    app = application(["--help"])
    names = [command.name for command in app.registered_commands]
    assert names.count("hello") == 1
    assert names.count(name) == (0 if name == "groups" else 1)
    broken = [p.error for p in registry.plugins if p.name == "b-plugin"]
    mentions(broken[0], f"'{name}'")
