"""Groups that plugins add to a data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2i.contracts.dataset import Dataset, Extended, Group
from i2i.errors import ConfigError, DataError, PluginError, UnknownComponentError
from i2i.registry.registry import Registry, installed
from i2i.runs.run import Run, create_run
from i2i.storage.toml import read_toml
from tests.conftest import write_noise
from tests.wording import check, refused

PLUGIN = """
    from pathlib import Path
    from i2i import Group, hookimpl

    @hookimpl
    def register_groups():
        return [Group({name!r}, Path({root!r}) / "trainA", [Path({root!r}) / "trainB" / "0.png"], extends="folder")]
"""


class Pair(Dataset):
    """Two groups without a file."""

    name, groups, base = "pair", ("woman", "man"), "woman"

    def train(self, group, domain):
        return [Path(f"{group}-{domain}.png")]

    def test(self, group, domain):
        return []

    def attributes(self, path):
        return {"hat": "yes"}

    def pairs(self, group):
        return [(Path("a"), Path("b"))]


@pytest.fixture
def root(tmp_path) -> Path:
    write_noise(tmp_path / "robots" / "trainA", 3)
    write_noise(tmp_path / "robots" / "trainB", 2)
    return tmp_path / "robots"


@pytest.fixture
def robot(root) -> Group:
    return Group("robot", root / "trainA", sorted((root / "trainB").iterdir(), reverse=True), test_a=[root / "x.png"])


class TestExtended:
    def test_has_both(self, robot, root) -> None:
        data = Extended([robot], Pair())
        assert (data.base, data.groups) == ("woman", ("woman", "man", "robot"))
        assert data.train("man", "b") == [Path("man-b.png")]
        assert data.train("robot", "a") == [root / "trainA" / f"{number}.png" for number in range(3)]
        assert data.train("robot", "b") == [root / "trainB" / f"{number}.png" for number in range(2)]
        assert (data.test("robot", "a"), data.test("robot", "b"), data.test("man", "a")) == ([root / "x.png"], [], [])
        assert (data.pairs("robot"), data.pairs("man")) == (None, [(Path("a"), Path("b"))])

    def test_knows_of_its_own_images_what_the_data_set_knows(self, robot, root) -> None:
        data = Extended([robot], Pair())
        assert data.attributes(Path("man-b.png")) == {"hat": "yes"}
        for path in (root / "trainA" / "0.png", root / "x.png"):
            assert data.attributes(path) == {}

    @pytest.mark.parametrize("mirrored", [True, False])
    def test_is_mirrored_as_the_data_set_is(self, robot, mirrored) -> None:
        pair = Pair()
        pair.mirrored = mirrored
        assert (Extended([robot], pair).mirrored, Extended([robot]).mirrored) == (mirrored, True)

    def test_keeps_some_or_none(self, robot) -> None:
        assert Extended([robot], Pair(), kept=["woman"]).groups == ("woman", "robot")
        alone = Extended([robot])
        assert (alone.base, alone.groups) == ("robot", ("robot",))
        with refused(DataError, "robot"):
            alone.train("woman", "a")

    def test_refuses_what_is_there_and_what_is_empty(self, robot, tmp_path) -> None:
        with refused(DataError, "man"):
            Extended([Group("man", robot.train_a, robot.train_b)], Pair())
        (tmp_path / "empty").mkdir()
        with refused(DataError, "robot"):
            Extended([Group("robot", robot.train_a, tmp_path / "empty")], Pair())
        with refused(ConfigError, "a.b"):
            Group("a.b", (), ())


class TestPlugins:
    def test_a_group_joins_the_data_set_that_it_extends(self, install, root, tiny, tmp_path) -> None:
        install("my-robots", PLUGIN.format(name="robot", root=str(root)))
        run = create_run(tmp_path / "run", tiny, installed())
        assert run.dataset.groups == ("woman", "kid", "man", "robot")
        assert read_toml(tmp_path / "run" / "run.toml")["extra_groups"] == ["robot"]
        run.execute()
        assert run.model.groups == ("woman", "kid", "man", "robot")
        assert sorted(path.stem for path in (tmp_path / "run" / "groups").iterdir()) == ["kid", "man", "robot"]

    def test_it_can_be_left_out_and_does_not_join_a_run_that_was_made_without(
        self, install, root, tiny, tmp_path
    ) -> None:
        create_run(tmp_path / "old", tiny, Registry())
        install("my-robots", PLUGIN.format(name="robot", root=str(root)))
        assert Run(tmp_path / "old", installed()).dataset.groups == ("woman", "kid", "man")
        run = create_run(tmp_path / "new", {**tiny, "extra_groups": []}, installed())
        assert run.dataset.groups == ("woman", "kid", "man")

    def test_a_run_whose_plugin_is_gone_says_so(self, install, root, tiny, tmp_path) -> None:
        install("my-robots", PLUGIN.format(name="robot", root=str(root)))
        create_run(tmp_path / "run", tiny, installed())
        with refused(UnknownComponentError, "robot", "none"):
            Run(tmp_path / "run", Registry(disabled=["my-robots"]))

    def test_two_of_one_name_are_told_with_both_distributions(self, install, root, tiny, tmp_path) -> None:
        for name in ("my-robots", "your-robots"):
            install(name, PLUGIN.format(name="robot", root=str(root)))
        with refused(PluginError, "robot", "my-robots", "1.0", "your-robots", "I2I_DISABLE_PLUGINS"):
            create_run(tmp_path / "run", tiny, installed())
        assert not (tmp_path / "run").exists()

    def test_one_that_the_data_has_is_told_with_both_distributions(self, install, root, tiny, tmp_path) -> None:
        install("my-robots", PLUGIN.format(name="man", root=str(root)))
        with refused(DataError, "folder", "0.1.0", "man", "my-robots", "1.0", "--extra-groups '[]'"):
            create_run(tmp_path / "run", tiny, installed())

    def test_a_wrong_one_breaks_its_plugin(self, install, root) -> None:
        install("my-robots", PLUGIN.format(name="a.b", root=str(root)))
        installed().load_components()
        plugin = next(plugin for plugin in installed().plugins if plugin.name == "my-robots")
        check(plugin.error, "ConfigError", "a.b")
