from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from i2i.config.options import Options, check_group_name, merge, option_values, validate
from i2i.config.run import AddedGroup, RunConfig
from i2i.errors import ConfigError, did_you_mean
from i2i.storage.toml import read_toml, to_toml
from tests.wording import check, refused


class Pix(Options):
    channels: int = Field(32, gt=0)
    betas: tuple[float, float] = (0.5, 0.999)
    mode: Literal["lsgan", "hinge"] = "lsgan"


class Rate(Options):
    lr: float = Field(1e-4, gt=0)


class Rooted(Options):
    root: str = Field(description="The folder.")


def test_validate_reads_text_as_the_command_line_gives_it() -> None:
    actual = validate(Pix, {"channels": "8", "betas": [0.1, "0.2"], "mode": "hinge"}, "pix")
    assert actual == Pix(channels=8, betas=(0.1, 0.2), mode="hinge")


def test_option_values_of_a_command_line() -> None:
    actual = option_values(["run", "--steps", "3", "--light", "--transfer=a=b", "--steps=4", "x", "--out"])
    assert actual == {"--steps": "4", "--light": "--transfer=a=b", "--transfer": "a=b", "--out": ""}


@pytest.mark.parametrize(
    ("options", "values", "named"),
    [
        (Pix, {"chanels": 8}, ("pix", "chanels", "channels", "betas", "mode")),
        (Pix, {"zzz": 8}, ("pix", "zzz", "channels", "betas", "mode")),
        (Options, {"zzz": 8}, ("pix", "zzz")),
        (Pix, {"channels": 0}, ("pix", "channels", 0)),
        (Pix, {"mode": "x"}, ("pix", "mode", "x", "lsgan", "hinge")),
        (Pix, {"betas": [0.5]}, ("pix", "betas.1", "[0.5]")),
        (Pix, {"betas": ["-inf", 0.9]}, ("pix", "betas.0", "-inf")),
        (Rate, {"lr": "inf"}, ("pix", "lr", "inf")),
        (Rate, {"lr": float("nan")}, ("pix", "lr", "nan")),
        (Rooted, {}, ("pix", "root")),
    ],
)
def test_validate_explains(options, values, named) -> None:
    with refused(ConfigError, *named):
        validate(options, values, "pix")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"evry": 1}, ("[evaluate]", "evry", "every", "best", "metrics")),
        (
            {"every": -1},
            ("evaluate.every", "-1", 0),
        ),
    ],
)
def test_validate_explains_what_is_wrong_in_a_table(values, named) -> None:
    with refused(ConfigError, *named):
        validate(RunConfig, {"evaluate": values}, "the run")


@pytest.mark.parametrize("given", ["l1,ssim", " l1 , ssim,", ["l1", "ssim"]])
def test_names_of_metrics_have_commas_between_them(given) -> None:
    assert validate(RunConfig, {"evaluate": {"metrics": given}}, "the run").evaluate.metrics == ("l1", "ssim")


def test_a_third_of_the_steps_goes_to_the_transfer() -> None:
    assert RunConfig(steps=600).steps_of("transfer") == 200
    assert RunConfig(steps=600, transfer_steps=7).steps_of("transfer") == 7
    assert RunConfig(steps=600, transfer_steps=0).steps_of("transfer") == 0
    assert RunConfig(steps=600).steps_of("base") == 600


@pytest.mark.parametrize("value", [0.9, 5])
def test_a_crop_margin_that_crops_nothing_or_nearly_all_is_refused(value) -> None:
    with refused(ConfigError, "crop_margin", value):
        validate(RunConfig, {"crop_margin": value}, "the run")


def test_images_are_resized_as_published_for_256_pixels() -> None:
    assert round(256 * RunConfig().crop_margin) == 286


def test_merge_lets_later_layers_win_key_by_key() -> None:
    lower, upper = {"a": {"x": 1, "y": 2}, "b": 1, "c": {"x": 1}}, {"a": {"y": 3}, "b": {"z": 1}, "c": 5}
    assert merge(lower, upper) == {"a": {"x": 1, "y": 3}, "b": {"z": 1}, "c": 5}
    assert lower == {"a": {"x": 1, "y": 2}, "b": 1, "c": {"x": 1}}
    assert merge() == {}


plain = st.text(max_size=5) | st.integers(-9, 9) | st.booleans() | st.floats(allow_nan=False) | st.lists(st.booleans())
tables = st.dictionaries(st.text(min_size=1, max_size=5), plain, max_size=3)


@given(st.dictionaries(st.text(min_size=1, max_size=5), plain | tables, max_size=3))
@settings(max_examples=30)
def test_toml_round_trip(section) -> None:
    assert tomllib.loads(to_toml(section)) == section


def test_toml_leaves_none_out() -> None:
    assert tomllib.loads(to_toml({"a": None, "b": {"c": None, "d": (1, 2)}})) == {"b": {"d": [1, 2]}}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, ()),
        (b"a: 1", ("line 1", "run.toml")),
        (b"a = '\xff'", ()),
    ],
)
def test_read_toml_explains(tmp_path: Path, content, named) -> None:
    if content is not None:
        (tmp_path / "x.toml").write_bytes(content)
    with refused(ConfigError, "x.toml", *named):
        read_toml(tmp_path / "x.toml")


def test_read_toml_of_a_folder(tmp_path: Path) -> None:
    with refused(ConfigError, tmp_path):
        read_toml(tmp_path)


@pytest.mark.parametrize("name", ["kid", "young-woman", "group_2", "7", "A"])
def test_group_names(name) -> None:
    assert check_group_name(name) == name


@pytest.mark.parametrize("name", ["train", "a.b", "", "a b", "-x", "ü", "../x", "keys", "parameters", "to"])
def test_group_names_that_torch_or_files_cannot_bear(name) -> None:
    with refused(ConfigError, f"'{name}'") as error:
        check_group_name(name)
    suggested = str(error.value).split("'")[-2]
    assert check_group_name(suggested) == suggested


def test_a_group_name_that_no_encoding_has() -> None:
    with refused(ConfigError, r"'\ud800'"):
        validate(AddedGroup, {"group": "\ud800"}, "the run")


def test_did_you_mean() -> None:
    check(did_you_mean("ugatti", ["cyclegan", "ugatit"]), "'ugatit'")
    assert did_you_mean("xyz", ["cyclegan", "ugatit"]) == ""
    assert did_you_mean("xyz", []) == ""
    check(did_you_mean("ugatit", ["unit", "ugatit-pytorch"]), "'ugatit-pytorch'")
    assert did_you_mean("", ["unit"]) == ""
