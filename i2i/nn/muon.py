"""Muon: an optimizer whose updates of a matrix have singular values that are nearly equal."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import filterfalse, groupby
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.adamw import adamw

# Factors of 1, A and A^2 in each Newton-Schulz iteration, where A is the product of a matrix and its transpose
# (those of modded-nanogpt).
_FIRST, *_FURTHER = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
_FEWEST = 4  # rows or columns
_LONGEST = 128  # columns per row, or rows per column


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for matrices and convolutions, and AdamW for other weights.

    Muon averages the gradients of a matrix and makes the singular values of the average nearly equal. A convolution's
    weights are a matrix with a row per output. The root mean square of an update is a fifth of the rate, as Adam's
    usually is (Liu et al. 2025, arXiv 2502.16982, section 2.2), so that Adam's rates fit. Biases, depthwise
    convolutions, and matrices that are narrow (fewer than 4 rows or columns) or long (more than 128 times as many of
    one as of the other) are left to AdamW.

    Args:
        parameters: Groups of parameters, which may have options of their own.
        lr: Rate of both.
        momentum: Weight of the past in Muon's average of gradients.
        betas: AdamW's.
        weight_decay: Share of every weight that a step takes away, per unit of the rate.
    """

    def __init__(
        self,
        parameters: Iterable[dict[str, Any]],
        *,
        lr: float,
        momentum: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__(parameters, options | {"fused": True})  # where counters of steps are when states are loaded

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all weights that have a gradient."""
        for group in self.param_groups:
            trained = [weight for weight in group["params"] if weight.grad is not None]
            matrices = sorted(filter(_is_matrix, trained), key=_shape)
            for _, alike in groupby(matrices, _shape):
                self._update(list(alike), group)
            if others := list(filterfalse(_is_matrix, trained)):
                self._update_by_adam(others, group)

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        averages = torch.stack([self._average(weight, group["momentum"]).flatten(1) for weight in weights])
        size = group["lr"] * 0.2 * max(averages.shape[1:]) ** 0.5
        for weight, update in zip(weights, orthogonal(averages), strict=True):
            weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update.view_as(weight), alpha=size)

    def _average(self, weight: Tensor, momentum: float) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        average: Tensor = state["momentum_buffer"]
        return average.lerp_(cast(Tensor, weight.grad), 1 - momentum)

    def _update_by_adam(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        states = [self.state[weight] for weight in weights]
        for weight, state in zip(weights, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), device=weight.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        adamw(
            weights,
            [cast(Tensor, weight.grad) for weight in weights],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices, ``(N, rows, columns)``, close to 1.

    Each Newton-Schulz iteration multiplies a matrix by a polynomial of A, the product of its result so far and that
    one's transpose. All this is done with A, which is square and small; the matrix is multiplied once, in the end.
    """
    rows, columns = matrices.shape[1:]
    if rows > columns:
        return orthogonal(matrices.mT).mT
    matrices = matrices / torch.linalg.matrix_norm(matrices, keepdim=True).clamp_min(1e-7)
    a = matrices @ matrices.mT
    factor = polynomial = _polynomial(a, *_FIRST)
    for factors in _FURTHER:
        a = polynomial @ a @ polynomial
        polynomial = _polynomial(a, *factors)
        factor = polynomial @ factor
    return factor @ matrices


def _polynomial(a: Tensor, constant: float, linear: float, quadratic: float) -> Tensor:
    result = torch.baddbmm(a, a, a, beta=linear, alpha=quadratic)
    result.diagonal(dim1=1, dim2=2).add_(constant)
    return result


def _shape(weight: Tensor) -> tuple[int, int]:
    return weight.shape[0], weight.shape[1:].numel()


def _is_matrix(weight: Tensor) -> bool:
    if weight.ndim < 2 or 1 in weight.shape[:2]:
        return False
    fewer, more = sorted(_shape(weight))
    return fewer >= _FEWEST and more <= _LONGEST * fewer
