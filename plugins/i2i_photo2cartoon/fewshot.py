"""The multi-group checkpoint files of Zhuang & Yang's few_shot_face2cartoon (arXiv 2007.13332).

They are like photo2cartoon's, but generators have a copy of their outermost layers and a row of class-activation
classifiers per group, and discriminators have a group head. Layers of group 0, the base group, have no suffix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from i2i import (
    Branches,
    CheckpointError,
    CheckpointFormat,
    CheckpointParts,
    Discriminator,
    GroupHead,
    Imported,
    from_published,
    published_network,
    split_states,
    to_published,
)
from i2i_photo2cartoon.checkpoint import (
    GENERATORS,
    JUDGE,
    JUDGES,
    ORDER,
    empty_networks,
    generator_keys,
    infer_config,
    judge_names,
    judges,
    networks,
)
from i2i_photo2cartoon.networks import HourglassGenerator

if TYPE_CHECKING:
    from torch import nn

    from i2i import Backbone

TITLE = "few_shot_face2cartoon"
GROUPS = ("woman", "man", "kid", "elderly")
BRANCHED = re.compile(r"(ConvBlock[12]|HourGlass[14])(?:_(\d+))?")
HEADS = ("gap_fc_new", "gmp_fc_new")
PER_GROUP = ("down.0", "down.1", "up.3", "up.4", "attention.heads")
SPECTRAL = {"weight": "weight_orig", "u": "weight_u", "v": "weight_v"}


class FewShotFile(CheckpointFormat):
    """``*_params_*.pt`` of few_shot_face2cartoon: photo2cartoon's six networks, for several groups.

    The file does not name its groups. In the released order they are woman, man, kid and elderly.
    """

    name = "fewshot"
    holds_groups = True

    def recognises(self, parts: CheckpointParts) -> bool:
        """Return whether the file holds a photo2cartoon generator from a to b, for several groups."""
        return {"HourGlass1.Conv1.weight", "gap_fc_new.weight"} <= generator_keys(parts)

    def read(self, parts: CheckpointParts, size: int | None) -> Imported:
        """Read the generators and discriminators present; the classifiers' rows are the groups."""
        states = networks(parts)
        groups = _names(len(states["genA2B"]["gap_fc_new.weight"]))
        kind = self.lookup.get(Discriminator, JUDGE)
        config = infer_config(states, size, kind)
        generator, judge = empty_networks(config, kind)
        tensors: dict[str, Tensor] = {}
        for name, direction in GENERATORS.items():
            if name in states:
                tensors |= _prefixed(f"generators.{direction}", _read_generator(states[name], generator, groups, name))
        for domain, state in judges(states).items():
            tensors |= _prefixed(f"discriminators.{domain}", _read_judge(state, judge, len(groups), domain.upper()))
        config["transfer"] = {"name": "branch", "judge": "classification", "cam": "group"}
        note = f"The file does not name its groups; in the released order they are {', '.join(groups)}."
        return Imported(config, tensors, groups[0], groups[1:], (note,))

    def write(self, backbone: Backbone, groups: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the single file, with groups in the model's order, base first."""
        if len(groups) != len(GROUPS):
            raise CheckpointError(
                f"few_shot_face2cartoon has four groups, not {len(groups)} ({', '.join(groups)}). "
                "Export one of them: --format photo2cartoon --group NAME."
            )
        states: dict[str, Any] = {
            name: _write_generator(published_network(backbone.generators[direction], HourglassGenerator, TITLE), groups)
            for name, direction in GENERATORS.items()
        }
        for domain in ("a", "b"):
            states |= split_states(_write_judge(backbone.discriminators[domain]), judge_names(domain))
        return {"fewshot_params_latest.pt": {name: states[name] for name in ORDER}}


def _names(count: int) -> tuple[str, ...]:
    if count < 2:
        raise CheckpointError(
            "genA2B has classifiers for one group only. It belongs to another model, or is cut short."
        )
    return (*GROUPS[:count], *(f"group{index}" for index in range(len(GROUPS), count)))


def _prefixed(place: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{place}.{key}": tensor for key, tensor in state.items()}


def _read_generator(
    state: Mapping[str, Tensor], network: HourglassGenerator, groups: Sequence[str], whose: str
) -> dict[str, Tensor]:
    last = max(_index(key) or 0 for key in state)
    if last >= len(groups):
        raise CheckpointError(f"{whose} has branches for {last + 1} groups, but classifiers for {len(groups)}.")
    tensors: dict[str, Tensor] = {}
    for index, group in enumerate(groups):
        converted = from_published(_of_group(state, index), network, f"{whose}, group {index} ({group})")
        tensors |= {_branched(key, group): tensor for key, tensor in converted.items()}
    return tensors


def _of_group(state: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """Return one group's generator, as photo2cartoon would save it."""
    tensors = {}
    for key, tensor in state.items():
        head, _, rest = key.partition(".")
        if _index(key) is None:
            row = tensor[index : index + 1] if head in HEADS else tensor
            tensors[f"{head.removesuffix('_new') if head in HEADS else head}.{rest}"] = row
        elif _index(key) == index:
            tensors[f"{_unsuffixed(head)}.{rest}"] = tensor
    return tensors


def _index(key: str) -> int | None:
    """Return the group of a branch's parameter; None for shared ones."""
    match = BRANCHED.fullmatch(key.partition(".")[0])
    return int(match[2] or 0) if match else None


def _unsuffixed(head: str) -> str:
    return head.partition("_")[0]


def _branched(key: str, group: str) -> str:
    place = next((place for place in PER_GROUP if key.startswith(f"{place}.")), None)
    return key if place is None else f"{place}.branches.{group}.{key.removeprefix(f'{place}.')}"


def _read_judge(joined: Mapping[str, Tensor], network: Discriminator, groups: int, domain: str) -> dict[str, Tensor]:
    """Return the state of a `GroupHead` around the discriminator of one domain."""
    with torch.device("meta"):
        expected = GroupHead(network, groups).state_dict()
    heads = _head_names()
    missing = next((theirs for theirs in heads.values() if theirs not in joined), None)
    if missing is not None:
        raise CheckpointError(f"dis{missing[0]}{domain} has no '{missing[2:]}'. It is cut short, or of another model.")
    plain = {key: tensor for key, tensor in joined.items() if key not in heads.values()}
    tensors = _prefixed("judge", from_published(plain, network, f"disG{domain} and disL{domain}"))
    tensors |= {ours: joined[theirs] for ours, theirs in heads.items()}
    wrong = next((key for key in heads if tensors[key].shape != expected[key].shape), None)
    if wrong is not None:
        raise CheckpointError(f"dis{heads[wrong][0]}{domain} classifies {len(tensors[wrong])} groups, not {groups}.")
    return tensors


def _head_names() -> dict[str, str]:
    """Return our keys of the group heads and the file's, prefixed with ``G.`` (global) or ``L.`` (local)."""
    return {
        f"heads.{i}.{ours}": f"{letter}.conv_cls.{theirs}"
        for i, letter in enumerate(JUDGES)
        for ours, theirs in SPECTRAL.items()
    }


def _write_generator(generator: HourglassGenerator, groups: Sequence[str]) -> dict[str, Tensor]:
    _check_branches(generator.named_modules())
    with torch.device("meta"):
        names = HourglassGenerator(generator.config).published_keys()
    tensors = generator.state_dict()
    states = [_published(tensors, names, group) for group in groups]
    written = {}
    for key, tensor in states[0].items():
        head, _, rest = key.partition(".")
        if _index(key) is not None:
            for index, state in enumerate(states):
                written[f"{head}{f'_{index}' if index else ''}.{rest}"] = state[key]
        elif f"{head}_new" in HEADS:
            written[f"{head}_new.{rest}"] = torch.cat([state[key] for state in states])
        else:
            written[key] = tensor
    return written


def _check_branches(modules: Iterable[tuple[str, nn.Module]]) -> None:
    extra = next((path for path, module in modules if isinstance(module, Branches) and path not in PER_GROUP), None)
    if extra is not None:
        raise CheckpointError(
            f"This model has '{extra}' once per group, where few_shot_face2cartoon has one for all groups. "
            "Exporting needs the transfer 'branch' with --generator.branch_depth 2 (or 1)."
        )


def _published(state: Mapping[str, Tensor], names: Mapping[str, str], group: str) -> dict[str, Tensor]:
    """Return one group's generator, as photo2cartoon would save it, from the state of a branched one."""
    tensors = {}
    for ours, theirs in names.items():
        branched = _branched(ours, group)
        tensors[theirs] = state[branched if branched in state else ours].detach().cpu()
    return tensors


def _write_judge(network: nn.Module) -> dict[str, Tensor]:
    if not isinstance(network, GroupHead):
        raise CheckpointError(
            "few_shot_face2cartoon has shared discriminators with a group head, and this model does not. "
            "Exporting needs the transfer 'branch' with --transfer.judge classification."
        )
    heads = network.state_dict()
    return to_published(published_network(network.judge, Discriminator, TITLE, [JUDGE])) | {
        theirs: heads[ours].detach().cpu() for ours, theirs in _head_names().items()
    }
