"""Compare the installed backbones by parameters, and by operations and time per step.

    python benchmarks/backbones.py [--preset quick] [--size N] [--batch N] [--rounds 5] [--no-time]

Parameters and operations are counted without computing anything, so the published sizes work, too. Times are medians
over rounds that alternate between the backbones, in one process and thread: compare them only with one another.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from cases import training_of
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from i2i import Backbone
from i2i.contracts.domains import Batch
from i2i.models.assembly import resolve
from i2i.models.components import Components
from i2i.models.model import outline
from i2i.registry.registry import installed

MILLION, GIGA = 1e6, 1e9


def main() -> None:
    options = _options()
    chosen = {name: _choose(name, options) for name in installed().names(Backbone)}
    times = {} if options.no_time else _times(chosen, options.rounds)
    print(f"{'backbone':15}{'generator':>11}{'discriminator':>15}{'branch':>9}{'GFLOP per step':>16}{'s per step':>12}")
    for name, components in chosen.items():
        generator, discriminator, branch = (count / MILLION for count in _parameters(components))
        operations = _operations(components) / GIGA
        print(f"{name:15}{generator:>9.2f} M{discriminator:>13.2f} M{branch:>7.2f} M{operations:>16.0f}"
              f"{times.get(name, float('nan')):>12.2f}")  # fmt: skip


def _choose(name: str, options: argparse.Namespace) -> Components:
    sizes = {"size": options.size, "batch_size": options.batch}
    given = {key: value for key, value in sizes.items() if value is not None}
    return resolve({"preset": options.preset, "backbone": {"name": name}, "device": "cpu", **given}, installed())


def _parameters(chosen: Components) -> tuple[int, int, int]:
    """Count the parameters of a generator, of a domain's discriminators and of a group's branch of a generator."""
    alone, branched = (outline(chosen, "a", groups).backbone for groups in ((), ("b",)))
    generator, discriminator = (_count(part) for part in (alone.generators["a2b"], alone.discriminators["a"]))
    return generator, discriminator, _count(branched.generators["a2b"]) - generator


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _operations(chosen: Components) -> int:
    """Count the forward and backward operations of one step of the base stage."""
    losses = chosen.build_losses(chosen.transfers[0])
    needs = frozenset().union(*(loss.needs for loss in losses.values()))
    count, size = chosen.config.batch_size, chosen.config.size
    with FakeTensorMode(), FlopCounterMode(display=False) as counter:
        model = chosen.build_backbone()
        batch = Batch({domain: torch.empty(count, 3, size, size) for domain in ("a", "b")}, ("a",) * count)
        passes = model.passes(batch, needs, ("a",))
        for side in ("discriminator", "generator"):
            model.judge(passes, side)
            terms = [getattr(loss, side)(passes) for loss in losses.values()]
            total = sum(term.sum() for term in terms if term is not None)
            learning = [parameter for parameter in model.networks(side).parameters() if parameter.requires_grad]
            total.backward(inputs=learning, retain_graph=True)
    return counter.get_total_flops()


def _times(chosen: dict[str, Components], rounds: int) -> dict[str, float]:
    torch.set_num_threads(1)
    trainings = {name: training_of(components) for name, components in chosen.items()}
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(rounds + 1):
        for name, training in trainings.items():
            start = time.perf_counter()
            training.step()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}  # the first step warms up


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--size", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-time", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
