"""The sub-steps of an optimizer step: schedule, passes, and observations for the augmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from i2i.compute.processes import Processes
from i2i.contracts.augmentation import Augmentation
from i2i.contracts.backbone import Side
from i2i.contracts.batched import detach, join
from i2i.contracts.domains import Batch
from i2i.contracts.loss import Loss, Passes
from i2i.contracts.transfer import Transfer

if TYPE_CHECKING:
    from i2i.training.loader import Loader

Generate = Callable[[Batch, frozenset[str]], Passes]
PassesBySide = Callable[[Side], Iterable[Passes]]
_UNJUDGED = frozenset({"identity", "cycled", "reconstructed", "encoded"})  # passes that discriminators rarely use


def needs(losses: Iterable[Loss]) -> frozenset[str]:
    """Return the passes needed by any of these terms."""
    none: frozenset[str] = frozenset()
    return none.union(*(loss.needs for loss in losses))


def judging(losses: Iterable[Loss]) -> list[Loss]:
    """Return the terms with a discriminator loss."""
    return [loss for loss in losses if type(loss).discriminator is not Loss.discriminator]


def joint_passes(batches: Sequence[Batch], generate: Generate, wanted: frozenset[str]) -> PassesBySide:
    """Run the generators now; both sides share the passes and their graph."""
    passes = [generate(batch, wanted) for batch in batches]
    return lambda side: passes


def redistributed(accumulate: int, before: int, now: int) -> int:
    """Return the sub-steps per process that keep the sub-steps of a step for another number of processes.

    If they cannot be shared evenly, it is the nearest number, at least 1.
    """
    return max(1, round(accumulate * before / now))


class SubStepSchedule:
    """One process's share of the sub-steps; together they equal those of a single process with as many sub-steps.

    Args:
        transfer: Decides which groups make up a sub-step.
        loader: Provides the batches; its positions count those of all processes.
        processes: All processes of the training.
        batch_size: Passed to the transfer.
        accumulate: Sub-steps per step and process.
        seed: Seed for the transfer's draws.
    """

    def __init__(
        self, transfer: Transfer, loader: Loader, processes: Processes, batch_size: int, accumulate: int, seed: int
    ) -> None:
        self._transfer, self._loader, self._processes = transfer, loader, processes
        self._batch_size, self._accumulate, self._seed = batch_size, accumulate, seed

    def samples(self, step: int) -> int:
        """Return the number of images of one domain in all sub-steps of 0-based ``step``."""
        return sum(len(groups) for sub_step in self._sub_steps(step) for groups in sub_step)

    def draw(self, step: int) -> list[tuple[str, ...]]:
        """Return the groups of each of this process's sub-batches in a step."""
        return [groups for n, sub_step in enumerate(self._sub_steps(step)) if self._is_own(n) for groups in sub_step]

    def load(self, step: int, device: torch.device) -> list[Batch]:
        """Load this process's sub-batches, skipping those of the others."""
        batches = []
        for number, sub_step in enumerate(self._sub_steps(step)):
            for groups in sub_step:
                if self._is_own(number):
                    batches.append(self._loader.batch(groups, device))
                else:
                    self._loader.skip(groups)
        return batches

    def _sub_steps(self, step: int) -> list[list[tuple[str, ...]]]:
        """Return the sub-batches of all sub-steps of all processes."""
        rng = np.random.default_rng([self._seed, step])
        count = self._accumulate * self._processes.count
        return [self._transfer.draw(self._batch_size, rng) for _ in range(count)]

    def _is_own(self, sub_step: int) -> bool:
        return sub_step % self._processes.count == self._processes.index


class SequentialPasses:
    """Runs the generators on one sub-batch at a time, so that only one graph is in memory.

    All fakes use the generator weights at the start of the step, and both sides see the same ones, as if all
    sub-batches were one. If generators update first, their fakes are kept without a graph for the discriminators. If
    discriminators update first, their fakes are made without a graph, and made again for the generators, whose losses
    have to wait for the discriminators' update: that costs one more forward pass of the translations, while keeping the
    graphs would cost the memory that sub-steps are meant to save. Generator randomness (dropout, noise) is drawn again.

    Args:
        batches: The sub-batches of a step.
        generate: Runs the generators on a sub-batch for the named passes.
        losses: The loss terms.
        first: The side that updates first.
    """

    def __init__(self, batches: Sequence[Batch], generate: Generate, losses: Iterable[Loss], first: Side) -> None:
        terms = list(losses)
        self._batches, self._generate, self._first = batches, generate, first
        self._wanted, self._judged = needs(terms), needs(judging(terms))
        self._left: list[Passes] = []

    def __call__(self, side: Side) -> Iterator[Passes]:
        """Yield the passes of each sub-batch for a side; each can be freed after use, since none is kept here."""
        if side == "generator":
            return map(self._leaving if self._first == side else self._live, self._batches)
        return map(self._unlinked, self._batches) if self._first == side else self._left_behind()

    def _live(self, batch: Batch) -> Passes:
        return self._generate(batch, self._wanted)

    def _leaving(self, batch: Batch) -> Passes:
        passes = self._live(batch)
        left = detach(passes)
        for name in _UNJUDGED - self._judged:
            getattr(left, name).clear()
        self._left.append(left)
        return passes

    @torch.no_grad()
    def _unlinked(self, batch: Batch) -> Passes:
        return self._generate(batch, self._judged)

    def _left_behind(self) -> Iterator[Passes]:
        while self._left:
            yield self._left.pop(0)


class CollectingAugmentation(Augmentation):
    """Collects the discriminators' logits of real images over all sub-steps and processes of a step.

    Args:
        inner: The augmentation.
        groups: All groups.
        processes: All processes of the training.
    """

    def __init__(self, inner: Augmentation, groups: Sequence[str], processes: Processes) -> None:
        self._inner, self._groups, self._processes = inner, tuple(groups), processes
        self._observes = type(inner).observe is not Augmentation.observe
        self._observed: dict[str, list[tuple[list[Tensor], tuple[str, ...]]]] = {}

    def __call__(self, domain: str, x: Tensor, groups: Sequence[str]) -> Tensor:
        """Return ``x``, ``(N, 3, H, W)``, augmented."""
        return self._inner(domain, x, groups)

    def observe(self, domain: str, logits: Sequence[Tensor], groups: Sequence[str]) -> None:
        """Keep the logits until `settle`, if the augmentation uses them."""
        if self._observes:
            self._observed.setdefault(domain, []).append(([one.detach() for one in logits], tuple(groups)))

    def collected(self) -> list[Tensor]:
        """Return the logits of the step: those of each part of each domain, over all sub-steps and processes."""
        joined = [join([logits for logits, _ in observations]) for observations in self._observed.values()]
        return [self._processes.join(part) for parts in joined for part in parts]

    def settle(self, logits: Iterable[Tensor]) -> None:
        """Pass the logits of the step, those of `collected` on the CPU, to the augmentation, one batch per domain."""
        parts = iter(logits)
        for domain, observations in self._observed.items():
            groups = list(chain.from_iterable(names for _, names in observations))
            self._inner.observe(domain, list(islice(parts, len(observations[0][0]))), self._of_all(groups))
        self._observed = {}

    @property
    def chances(self) -> dict[str, float]:
        """The augmentation's probabilities."""
        return self._inner.chances

    def state(self) -> dict[str, Tensor]:
        """Return the augmentation's state; nothing is collected between steps."""
        return self._inner.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the result of `state`."""
        self._inner.load(state)

    def _of_all(self, groups: list[str]) -> list[str]:
        if self._processes.count == 1:
            return groups
        numbers = torch.tensor([self._groups.index(group) for group in groups], device=self._processes.device)
        return [self._groups[number] for number in self._processes.join(numbers).tolist()]
