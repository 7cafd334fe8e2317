"""The number of threads is chosen by timing steps; here the clock says how long each takes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from i2i.compute.threads import RECENT, TRIALS, ThreadChoice, kept_threads


class Machine:
    """A clock and a number of threads; a step takes as long as it says for that number."""

    def __init__(self, seconds: Mapping[int, float], settled: int = 0) -> None:
        self.seconds, self.now, self.threads, self.done = dict(seconds), 0.0, 0, 0
        self.used: list[int] = []
        self.said: list[str] = []
        self.choice = ThreadChoice(tuple(seconds), settled, say=self.said.append, clock=lambda: self.now, use=self.use)

    def use(self, threads: int) -> None:
        self.threads = threads

    def step(self) -> int:
        self.used.append(self.threads)
        self.now += self.seconds[self.threads]
        self.done += 1
        return self.done

    def run(self, steps: int) -> list[int]:
        """Return how many threads each of these steps used."""
        for _ in range(steps):
            assert self.choice.run(self.done, self.step) == self.done
        return self.used[-steps:]


@pytest.mark.parametrize(("seconds", "best"), [({1: 0.2, 4: 0.1}, 4), ({1: 0.1, 4: 0.2}, 1)])
def test_the_faster_number_is_taken_and_said(seconds: dict[int, float], best: int) -> None:
    machine = Machine(seconds)
    assert machine.run(2 * TRIALS) == [1] * TRIALS + [4] * TRIALS
    assert machine.run(20) == [best] * 20
    other = 5 - best
    assert machine.said == [f"CPU threads: {best} (0.1 s a step, 0.2 s with {other})"]


def test_the_first_step_of_a_number_only_warms_up() -> None:
    machine = Machine({1: 0.2, 4: 5.0})
    machine.run(TRIALS + 1)
    machine.seconds[4] = 0.1
    machine.run(TRIALS - 1)
    assert machine.choice.settled == 4


def test_a_hopeless_number_is_not_tried_to_the_end() -> None:
    machine = Machine({1: 0.1, 4: 1.0})
    assert machine.run(TRIALS + 3) == [1] * TRIALS + [4, 4, 1]


def test_all_are_tried_again_when_steps_become_slower() -> None:
    machine = Machine({1: 0.2, 4: 0.1})
    machine.run(2 * TRIALS + 10)
    machine.seconds = {1: 0.2, 4: 0.4}  # a neighbour arrives
    assert machine.run(20)[-1] == 1
    assert len(machine.said) == 2
    assert machine.run(50) == [1] * 50
    assert machine.choice.schedule[0] == (0, 1)
    assert machine.choice.schedule[-1][1] == 1
    assert [count for _, count in machine.choice.schedule] == [1, 4, 1, 4, 1]


def test_single_slow_steps_and_slow_drift_below_the_limit_change_nothing() -> None:
    machine = Machine({1: 0.2, 4: 0.1})
    machine.run(2 * TRIALS)
    for seconds in (9.0, 0.1, 0.14, 9.0, 0.1, 0.1) * 5:
        machine.seconds[4] = seconds
        assert machine.run(1) == [4]


def test_a_resumed_run_keeps_the_number_until_steps_become_slower() -> None:
    machine = Machine({1: 0.2, 4: 0.1}, settled=4)
    assert machine.run(30) == [4] * 30
    assert machine.said == []
    assert machine.choice.schedule == [(0, 4)]
    machine.seconds[4] = 0.3
    machine.run(RECENT + 2 * TRIALS)
    assert machine.choice.settled == 1


def test_a_single_candidate_is_neither_timed_nor_set() -> None:
    machine = Machine({2: 0.1})
    machine.threads = 2
    assert machine.run(20) == [2] * 20
    assert (machine.said, machine.choice.schedule) == ([], [])


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with kept_threads():
        torch.set_num_threads(before + 1)
    assert torch.get_num_threads() == before
