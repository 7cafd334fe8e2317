from __future__ import annotations

import pytest
import torch
from torch import nn

from i2i.training.gradients import Gradients


def test_gradients_of_every_update_are_taken_at_the_same_weights():
    """d(w^2)/dw at 2 is 4; 3w and 5w add up to 8 in the second update, which the first one has not moved."""
    weight, gradients = nn.Parameter(torch.tensor(2.0)), Gradients()
    for update, loss in ((1, 3 * weight), (0, weight * weight), (1, 5 * weight)):
        with gradients.of(update, [weight]):
            loss.backward()
    assert weight.grad.item() == 4
    optimizer, found = torch.optim.SGD([weight], lr=0.1), []
    for update in gradients.updates():
        found.append((update, weight.grad.item()))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    assert found == [(0, 4.0), (1, 8.0)]
    assert weight.item() == pytest.approx(2 - 0.4 - 0.8)
    assert list(gradients.updates()) == [0], "gradients are used once"


def test_parameters_that_an_update_does_not_reach_have_no_gradient_in_it():
    first, second = (nn.Parameter(torch.tensor(1.0)) for _ in range(2))
    gradients = Gradients()
    with gradients.of(0, [first]):
        (first * 2).backward()
    with gradients.of(1, [second]):
        (second * 3).backward()
    found = []
    for _ in gradients.updates():
        found.append((first.grad, second.grad))
        first.grad = second.grad = None
    assert found == [(2.0, None), (None, 3.0)]


def test_every_update_is_taken_part_in_up_to_the_last_of_all_processes():
    weight, gradients = nn.Parameter(torch.tensor(1.0)), Gradients()
    with gradients.of(2, [weight]):
        (weight * 3).backward()
    found = []
    for update in gradients.updates(lambda own: own + 1):
        found.append((update, weight.grad))
        weight.grad = None
    assert found == [(0, None), (1, None), (2, 3.0), (3, None)]


def test_an_exception_leaves_the_gradients_of_the_first_update_in_place():
    weight, gradients = nn.Parameter(torch.tensor(1.0)), Gradients()
    (weight * 2).backward()
    with pytest.raises(RuntimeError, match="only for scalar outputs"), gradients.of(1, [weight]):
        torch.stack([weight, weight]).backward()
    assert weight.grad.item() == 2
