"""Options as pydantic models: validation, merging and error messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from i2i.errors import ConfigError, did_you_mean, plain_reason

Section = dict[str, Any]

O = TypeVar("O", bound="Options")  # noqa: E741

# Attributes of torch's ModuleDict, which holds branches by group; and "auto", which detects the group from the image.
_TAKEN = frozenset(
    """
    T_destination add_module apply auto bfloat16 buffers call_super_init children clear compile cpu cuda double
    dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu
    items keys load_state_dict modules mtia named_buffers named_children named_modules named_parameters
    parameters pop register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to
    to_empty train training type update values xpu zero_grad
    """.split()  # noqa: SIM905
)


_LONGEST = 100
"""The longest name of a group, in letters: file systems allow 255 with a suffix."""


class Options(BaseModel):
    """Options of one component: fields with types, bounds, defaults and a description that ``--help`` shows.

    A tuple can also be given as text with commas between its items.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        """Split the text given for a tuple at its commas."""
        texts = {name: value for name, value in values.items() if isinstance(value, str)}
        known = {name: text for name, text in texts.items() if name in cls.model_fields}
        lists = {name: _items(text) for name, text in known.items() if _takes_tuple(cls.model_fields[name].annotation)}
        return {**values, **lists}


def validate(options: type[O], values: Mapping[str, Any], where: str) -> O:
    """Build ``options`` from ``values``; ``where`` is the section named in errors.

    Raises:
        ConfigError: An option is unknown (the message suggests the nearest) or its value is invalid.
    """
    try:
        return options(**values)
    except ValidationError as error:
        raise ConfigError(_explain(error.errors()[0], options, where)) from error


def merge(*layers: Mapping[str, Any]) -> Section:
    """Merge nested dictionaries; later layers win, and tables are merged per key."""
    merged: Section = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return merged


def option_values(arguments: Sequence[str]) -> dict[str, str]:
    """Return the value of each ``--option`` on a command line, from ``--option value`` or ``--option=value``.

    The last value counts; an option at the very end gets an empty one. A flag without a value gets the next token.
    """
    values = {}
    for token, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if token.startswith("--"):
            option, equals, value = token.partition("=")
            values[option] = value if equals else following
    return values


def as_written(value: Any) -> str:
    """Return an option's value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict | bool) else str(value)


def check_group_name(name: str) -> str:
    """Return ``name`` if it is a valid group name: letters, digits, ``_``, ``-``, and no attribute of ModuleDict.

    Raises:
        ConfigError: It is not.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) or name in _TAKEN or len(name) > _LONGEST:
        raise ConfigError(
            f"{name!r} is not a valid group name. Use up to {_LONGEST} letters, digits, '-' and '_', and no name of a "
            f"torch method, such as '{_suggested(name)}-1'."
        )
    return name


def _checked(name: str) -> str:
    try:
        return check_group_name(name)
    except ConfigError as error:
        raise ValueError(str(error)) from error


GroupName = Annotated[str, AfterValidator(_checked)]
"""The name of a group in a file that pydantic reads: checked, since paths and modules are made from it."""


def _checked_pair(pair: str) -> str:
    for name in pair.split("/"):
        _checked(name)
    return pair


GroupAndDomain = Annotated[str, AfterValidator(_checked_pair)]
"""A group and a domain with a slash between, in either order, in a file that pydantic reads."""


def refuse_unknown_group(group: str, known: Sequence[str]) -> None:
    """Raise if a model lacks a group.

    Raises:
        ConfigError: ``group`` is not in ``known``; the message suggests the nearest.
    """
    if group not in known:
        near = did_you_mean(group, known)
        raise ConfigError(f"The model has no group '{group}'.{near} It has: {', '.join(known)}.")


def _items(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _takes_tuple(annotation: Any) -> bool:
    return tuple in {get_origin(one) for one in (annotation, *get_args(annotation))}


def _suggested(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[: _LONGEST - 2] or "group"


def _explain(error: Any, options: type[Options], where: str) -> str:
    field = ".".join(map(str, error["loc"]))
    table = options.model_fields.get(str(error["loc"][0]))
    if error["type"] == "extra_forbidden" and table is not None and isinstance(table.default, Options):
        return _explain({**error, "loc": error["loc"][1:]}, type(table.default), f"[{error['loc'][0]}]")
    if error["type"] == "extra_forbidden":
        known = list(options.model_fields)
        return f"{where} has no option '{field}'.{did_you_mean(field, known)} It has: {', '.join(known) or 'none'}."
    if error["type"] == "missing" and len(error["loc"]) == 1:
        return f"{where} needs the option '{field}': {_purpose(options, field)}"
    expected = "It is a table; on a command line, write JSON, such as '{\"NAME\": VALUE}'"
    reason = expected if error["type"] == "dict_type" else plain_reason(error).rstrip(".")
    return f"{where}: option '{field}' cannot be {error['input']!r}: {reason}."


def _purpose(options: type[Options], field: str) -> str:
    return options.model_fields[field].description or "it has no default."
