"""The number of CPU threads, chosen by timing steps.

Waiting threads spin, so several are slower than one as soon as another process wants their cores, and for small images
always.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import TypeVar

import torch

T = TypeVar("T")

TRIALS = 3  # steps that each number of threads is tried for; the first only warms up
HOPELESS = 3.0  # times as slow as the best: not tried further
SLOWER = 1.5  # times as slow as usual: all are tried again
RECENT = 5  # steps whose median is compared with the usual time


class ThreadChoice:
    """Runs steps on the number of threads that is fastest, and tries all numbers again when steps become slower.

    Args:
        candidates: The numbers to try; of a single one, nothing is measured.
        settled: The number chosen earlier, to start with; 0 tries all first.
        schedule: The schedule so far.
        say: Receives one line per choice.
        clock: Returns seconds.
        use: Sets the number of threads.

    Attributes:
        settled: The number in use; 0 while numbers are tried.
        schedule: The first step that each number was used for, counted from 0, and the number; only changes are listed.
    """

    def __init__(
        self,
        candidates: Sequence[int],
        settled: int = 0,
        schedule: Sequence[tuple[int, int]] = (),
        *,
        say: Callable[[str], object] = str,
        clock: Callable[[], float] = time.perf_counter,
        use: Callable[[int], object] = torch.set_num_threads,
    ) -> None:
        self.settled, self.schedule = settled, list(schedule)
        self._candidates, self._say, self._clock, self._use = tuple(candidates), say, clock, use
        self._times: dict[int, list[float]] = {}
        self._left: list[int] = []
        self._usual = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)
        if not settled:
            self._try_all()

    def run(self, number: int, step: Callable[[], T]) -> T:
        """Run step ``number`` and return its result."""
        if len(self._candidates) < 2:
            return step()
        threads = self.settled or self._left[0]
        if not self.schedule or self.schedule[-1][1] != threads:
            self.schedule.append((number, threads))
        self._use(threads)
        begun = self._clock()
        result = step()
        self._note(threads, self._clock() - begun)
        return result

    def _note(self, threads: int, seconds: float) -> None:
        if not self.settled:
            self._note_trial(threads, seconds)
            return
        self._recent.append(seconds)
        if len(self._recent) == RECENT:
            now = median(self._recent)
            self._usual = self._usual or now
            if now > SLOWER * self._usual:
                self._try_all()

    def _note_trial(self, threads: int, seconds: float) -> None:
        times = self._times.setdefault(threads, [])
        times.append(seconds)
        best = min((min(one[1:]) for other, one in self._times.items() if other != threads), default=seconds)
        if len(times) == TRIALS or (len(times) > 1 and seconds > HOPELESS * best):
            self._left.pop(0)
            if not self._left:
                self._settle()

    def _try_all(self) -> None:
        self.settled, self._times, self._left = 0, {}, list(self._candidates)
        self._recent.clear()

    def _settle(self) -> None:
        seconds = {threads: min(times[1:]) for threads, times in self._times.items()}
        self.settled = min(seconds, key=seconds.__getitem__)
        self._usual = seconds[self.settled]
        others = ", ".join(f"{taken:.2g} s with {count}" for count, taken in seconds.items() if count != self.settled)
        self._say(f"CPU threads: {self.settled} ({self._usual:.2g} s a step, {others})")


@contextmanager
def kept_threads() -> Iterator[None]:
    """Put back the number of threads after the block."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
