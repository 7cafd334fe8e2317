"""``i2i plugins``, and the command line in the company of broken plugins."""

from __future__ import annotations

import json
import os
import tomllib

import pytest

from i2i.registry.registry import installed
from tests.cli.conftest import TINY
from tests.registry.test_registry import BROKEN, CYCLE, GOOD
from tests.wording import check_line, mentions

COMMAND = """
    from i2i import hookimpl

    @hookimpl
    def register_commands(app):
        @app.command()
        def hello(name: str = "you"):
            "Say hello."
            print("hello", name)
"""


@pytest.fixture(params=BROKEN)
def broken(request, install) -> list[str]:
    """What the error of the broken plugin must name."""
    code, named = BROKEN[request.param]
    install("my-plugin", code, "0.3")
    return named


def test_list_shows_what_each_plugin_is_and_does(i2i, install) -> None:
    install("my-plugin", GOOD, "0.3")
    for arguments in (["plugins"], ["plugins", "list"]):
        result = i2i(*arguments)
        assert result.status == 0
        rows = [" ".join(line.split()) for line in result.out.splitlines()]
        assert "my-plugin my-plugin 0.3 register_losses loss tv" in rows
        assert any(row.startswith("metrics i2i 0.1.0 register_metrics metric l1, ssim, lpips") for row in rows)


def test_list_shows_a_broken_plugin_with_its_error(i2i, broken) -> None:
    result = i2i("plugins")
    assert result.status == 0
    assert "Traceback" not in result.out + result.err
    check_line(result.out, "'my-plugin'", "my-plugin 0.3", *broken)
    assert "backbone ugatit" in result.out


def test_list_shows_a_redefined_name(i2i, install) -> None:
    install("my-plugin", CYCLE)
    result = i2i("plugins")
    assert result.status == 0
    check_line(result.out, "'cycle'", "'losses'", "i2i 0.1.0", "'my-plugin'", "my-plugin 1.0")


def test_broken_plugins_are_red(i2i, install, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    install("my-plugin", "raise OSError('[red]gone[/] [/nonsense]')")
    out = i2i("plugins").out
    check_line(out, "\x1b[31mPlugin", "my-plugin 1.0", "OSError: [red]gone[/] [/nonsense]")


def test_show_lists_components_with_their_options(i2i) -> None:
    result = i2i("plugins", "show", "ugatit")
    assert result.status == 0
    assert result.out.startswith("ugatit of i2i 0.1.0\n")
    check_line(result.out, "backbone 'ugatit'", "U-GAT-IT")
    check_line(result.out, "branch_depth")
    check_line(i2i("plugins", "show", "metrics").out, "metric 'ssim'")


@pytest.mark.parametrize(
    ("code", "named"), [(CYCLE, ["'cycle'", "'losses'"]), BROKEN["import"]], ids=["name", "import"]
)
def test_show_of_a_plugin_with_a_problem(i2i, install, code, named) -> None:
    install("my-plugin", code)
    result = i2i("plugins", "show", "my-plugin")
    assert result.status == 0
    check_line(result.out, *named)


def test_training_goes_on_beside_a_broken_plugin(i2i, broken, folder_root, out, untrained) -> None:
    result = i2i("run", *TINY, "--data", folder_root, "--out", out)
    assert (result.status, result.err) == (0, "")
    assert (out / "run.toml").exists()


def test_asking_for_what_a_broken_plugin_provides(refused, broken, folder_root, out, tmp_path) -> None:
    (tmp_path / "my.toml").write_text("[loss]\ntv = 1")
    message = refused("run", *TINY, "--data", folder_root, "--out", out, "--config", tmp_path / "my.toml")
    mentions(message, "tv", "my-plugin", "0.3", *broken)
    assert not out.exists()


def test_asking_for_a_name_of_two_plugins(refused, install, folder_root, out, tmp_path) -> None:
    install("my-plugin", GOOD)
    install("other-plugin", GOOD)
    (tmp_path / "my.toml").write_text("[loss]\ntv = 1")
    message = refused("run", *TINY, "--data", folder_root, "--out", out, "--config", tmp_path / "my.toml")
    mentions(
        message, "tv", "my-plugin:tv", "my-plugin 1.0", "other-plugin:tv", "other-plugin 1.0", "I2I_DISABLE_PLUGINS"
    )
    assert not out.exists()


@pytest.mark.parametrize("name", ["cycle", "my-plugin:cycle"])
def test_i2is_component_keeps_its_name_and_the_distribution_chooses_another(
    i2i, install, folder_root, out, tmp_path, untrained, name
) -> None:
    install("my-plugin", CYCLE)
    (tmp_path / "my.toml").write_text(f'[loss]\n"{name}" = 0.25')
    result = i2i("run", *TINY, "--data", folder_root, "--out", out, "--config", tmp_path / "my.toml")
    assert (result.status, result.err) == (0, "")
    assert tomllib.loads((out / "run.toml").read_text())["loss"][name]["weight"] == 0.25


def test_a_redefined_name_that_nobody_asks_for_does_not_matter(i2i, install, folder_root, out, untrained) -> None:
    install("my-plugin", GOOD)
    install("other-plugin", GOOD)
    result = i2i("run", *TINY, "--data", folder_root, "--out", out)
    assert (result.status, result.err) == (0, "")


def test_disabling_the_plugin_settles_it(i2i, install, folder_root, out, untrained, monkeypatch) -> None:
    install("my-plugin", CYCLE)
    monkeypatch.setenv("I2I_DISABLE_PLUGINS", "my-plugin")
    assert i2i("run", *TINY, "--data", folder_root, "--out", out).status == 0
    assert "my-plugin" not in i2i("plugins").out


@pytest.mark.parametrize("place", ["before", "after", "environment"])
def test_strict_refuses_at_once(refused, broken, monkeypatch, place) -> None:
    monkeypatch.setenv("I2I_STRICT_PLUGINS", "1" if place == "environment" else "")
    flag = [] if place == "environment" else ["--strict"]
    message = refused(*(["plugins", *flag] if place == "after" else [*flag, "plugins"]))
    mentions(message, "my-plugin 0.3", "I2I_DISABLE_PLUGINS=my-plugin", *broken)


def test_strict_refuses_a_redefined_name(refused, install, monkeypatch, folder_root, out) -> None:
    monkeypatch.setenv("I2I_STRICT_PLUGINS", "")
    install("my-plugin", CYCLE)
    mentions(refused("--strict", "run", "--data", folder_root, "--out", out), "cycle", "my-plugin 1.0")
    assert not out.exists()


def test_strict_leaves_the_environment_alone(refused, i2i, broken, monkeypatch) -> None:
    """So that what is started from here is as strict as the user's own setting says."""
    monkeypatch.delenv("I2I_STRICT_PLUGINS", raising=False)
    mentions(refused("--strict", "data", "list"), "my-plugin 0.3", *broken)
    assert "I2I_STRICT_PLUGINS" not in os.environ
    installed.cache_clear()
    assert i2i("data", "list").status == 0


def test_a_plugin_adds_commands(i2i, install) -> None:
    install("my-plugin", COMMAND)
    assert i2i("hello", "--name", "world").out == "hello world\n"
    assert "Say hello." in i2i("--help").out


def test_a_plugin_that_fails_to_add_commands_does_not_matter(i2i, install) -> None:
    install("my-plugin", COMMAND.replace("@app.command()", "app.nonsense()\n        @app.command()"))
    assert i2i("data", "list").status == 0
    check_line(i2i("plugins").out, "my-plugin 1.0", "AttributeError", "'nonsense'")


def test_a_plugins_loss_gets_options_and_help(i2i, install, folder_root, out, untrained) -> None:
    install("my-plugin", GOOD)
    assert "--loss.tv" in i2i("run", "--help-all").out
    assert i2i("run", *TINY, "--data", folder_root, "--out", out, "--loss.tv", "0.5").status == 0
    assert "[loss.tv]\nweight = 0.5\n" in (out / "run.toml").read_text()


def test_a_model_whose_plugin_is_missing(refused, trained, folder_root, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("I2I_DISABLE_PLUGINS", "ugatit")
    image = folder_root / "kid" / "testA" / "0.png"
    message = refused("translate", trained, image, "--out", tmp_path / "new")
    mentions(message, f"{trained}/model.safetensors", "i2i 0.1.0", "ugatit")
    assert not (tmp_path / "new").exists()


QUITTING = """
    import os
    import sys

    from i2i import Metric, Score, hookimpl
    from i2i_cyclegan.networks import ResnetGenerator

    class Odd(BaseException):
        pass

    def quit(part):
        if os.environ.get("QUITTING") == part:
            {ending}

    class Quitter(ResnetGenerator):
        name = "quitter"

        def forward(self, x):
            quit("generator")
            return super().forward(x)

    class Brightness(Metric):
        name = "brightness"

        def score(self, case):
            quit("metric")
            return Score(float(next(iter(case.fake)).mean()), 0.0, 0.0, 1)

    @hookimpl
    def register_generators():
        return [Quitter]

    @hookimpl
    def register_metrics():
        return [Brightness]
"""


@pytest.mark.parametrize("ending", ["sys.exit(0)", "raise KeyboardInterrupt", "raise Odd('enough')"])
def test_a_component_that_ends_the_program_is_named(i2i, refused, install, monkeypatch, tmp_path, folder_root, ending):
    install("my-plugin", QUITTING.format(ending=ending), "0.3")
    model, photograph = tmp_path / "run", folder_root / "man" / "testA" / "0.png"
    parts = ["--backbone", "cyclegan", "--generator", "quitter", "--evaluate.metrics", "brightness"]
    assert i2i("train", *TINY, *parts, "--data", folder_root, "--out", model).status == 0
    for part, command in {
        "generator": ["translate", model, photograph, "--out", tmp_path / "out.png"],
        "metric": ["evaluate", model, "--metrics", "brightness"],
    }.items():
        monkeypatch.setenv("QUITTING", part)
        mentions(refused(*command), "'my-plugin'", "my-plugin 0.3")
    monkeypatch.setenv("QUITTING", "generator")
    mentions(refused("evaluate", model, "--metrics", "brightness", "--out", tmp_path / "scores.json"), "my-plugin 0.3")


def test_a_plugins_command_may_exit(i2i, install) -> None:
    install("my-plugin", COMMAND.replace('print("hello", name)', "raise SystemExit(7)"))
    assert i2i("hello").status == 7


@pytest.mark.parametrize("arguments", [("plugins", "list", "--json"), ("plugins", "--json")])
def test_plugins_as_json(i2i, arguments) -> None:
    plugins = {one["name"]: one for one in json.loads(i2i(*arguments).out)}
    assert plugins["cyclegan"]["components"]["generator"] == ["resnet", "unet"]
    assert plugins["cyclegan"]["problems"] == []


def test_one_plugin_as_json(i2i) -> None:
    shown = json.loads(i2i("plugins", "show", "cyclegan", "--json").out)
    backbone = next(one for one in shown["components"] if one["kind"] == "backbone")
    assert backbone["name"] == "cyclegan"
    assert "pool_size" in backbone["options"]


def test_a_broken_plugin_is_in_the_json(i2i, install) -> None:
    install("my-plugin", "import nowhere_to_be_found")
    plugins = {one["name"]: one for one in json.loads(i2i("plugins", "--json").out)}
    assert "nowhere_to_be_found" in plugins["my-plugin"]["problems"][0]
