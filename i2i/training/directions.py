"""Back-propagation through both translation directions at the same time.

The losses of a step combine passes of both directions, and one backward pass from there would go through one direction
after the other. So the graph is cut where the passes end: losses are back-propagated to the passes, and from there each
direction separately.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from i2i.compute.concurrency import Concurrency
from i2i.contracts.backbone import Side
from i2i.contracts.batched import apply
from i2i.contracts.domains import DOMAINS, OTHER_DOMAIN, Domain
from i2i.contracts.loss import Passes

T = TypeVar("T")

_INTO = ("fake", "identity", "encoded", "real_verdict", "fake_verdict")  # of images that a direction ends with
_FROM = ("cycled", "reconstructed")  # of images that it starts with


class Graph(NamedTuple):
    """The ends of a graph, and the leaves that continue it, one for each."""

    ends: list[Tensor]
    leaves: list[Tensor]

    def cut(self, tensor: Tensor) -> Tensor:
        """Return a leaf with the same values, or the tensor itself if it has no graph."""
        if not tensor.requires_grad:
            return tensor
        self.ends.append(tensor)
        self.leaves.append(tensor.detach().requires_grad_())
        return self.leaves[-1]

    def take_gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the ends whose leaves have a gradient, and these gradients; the leaves lose them."""
        reached = [(end, leaf.grad) for end, leaf in zip(self.ends, self.leaves, strict=True) if leaf.grad is not None]
        for leaf in self.leaves:
            leaf.grad = None
        return [end for end, _ in reached], [gradient for _, gradient in reached]


class CutPasses(NamedTuple):
    """Passes for losses, cut off from the graphs that lead to them."""

    passes: Passes
    graphs: Sequence[Graph]

    @property
    def leaves(self) -> list[Tensor]:
        """The tensors of ``passes`` that stand for ends of the graphs."""
        return [leaf for graph in self.graphs for leaf in graph.leaves]


class Directions:
    """Cuts passes off from their directions, and back-propagates through these at the same time.

    Args:
        concurrency: Runs both directions at the same time where possible.
    """

    def __init__(self, concurrency: Concurrency) -> None:
        self._concurrency = concurrency
        self._apart: dict[Side, bool] = {}

    def cut(self, passes: Passes, side: Side) -> CutPasses:
        """Cut off passes that have been judged for a side.

        A penalty on gradients needs the graph between a verdict and its image, so that passes with one stay whole.
        Directions that share more than weights, as those of a joint encoder do, are one graph; the first passes of a
        side show it.
        """
        if side == "discriminator" and "gradient" in passes.needs:
            return CutPasses(passes, [])
        if side not in self._apart:
            one, other = (_nodes(graph.ends) for graph in _cut_by_direction(passes).graphs)
            self._apart[side] = one.isdisjoint(other)
        return _cut_by_direction(passes) if self._apart[side] else _cut_as_one(passes)

    def backward(self, graphs: Sequence[Graph], parameters: Sequence[nn.Parameter], retain_graph: bool) -> None:
        """Add to ``parameters`` the gradients that arrive through the ends of each graph whose leaves have one."""
        sent = [(ends, gradients) for ends, gradients in (graph.take_gradients() for graph in graphs) if ends]

        def accumulate(number: int) -> None:
            ends, gradients = sent[number]
            torch.autograd.backward(ends, gradients, inputs=list(parameters), retain_graph=retain_graph)

        def accumulate_or_return(number: int) -> Sequence[Tensor | None]:
            if number == 0:
                accumulate(number)
                return ()
            ends, gradients = sent[number]
            return torch.autograd.grad(ends, parameters, gradients, retain_graph, allow_unused=True)

        if len(sent) == 2 and self._concurrency.active:
            # If both threads accumulated, sums would be in an order up to chance, which changes their last bits.
            _, gradients = self._concurrency.map(accumulate_or_return, (0, 1))
            _add(parameters, gradients)
        else:
            for number in range(len(sent)):
                accumulate(number)


def _cut_by_direction(passes: Passes) -> CutPasses:
    graphs: dict[Domain, Graph] = {domain: Graph([], []) for domain in DOMAINS}
    return CutPasses(_cut(passes, graphs), list(graphs.values()))


def _cut_as_one(passes: Passes) -> CutPasses:
    graph = Graph([], [])
    return CutPasses(_cut(passes, dict.fromkeys(DOMAINS, graph)), [graph])


def _cut(passes: Passes, graphs: Mapping[Domain, Graph]) -> Passes:
    """Cut off the passes of each direction; ``graphs`` has one for the domain that a direction translates into."""
    back = {domain: graphs[OTHER_DOMAIN[domain]] for domain in DOMAINS}
    parts: dict[str, Any] = {name: _cut_each(getattr(passes, name), graphs) for name in _INTO}
    parts |= {name: _cut_each(getattr(passes, name), back) for name in _FROM}
    return replace(passes, **parts)


def _cut_each(values: Mapping[Domain, T], graphs: Mapping[Domain, Graph]) -> dict[Domain, T]:
    return {domain: apply(value, graphs[domain].cut) for domain, value in values.items()}


def _nodes(ends: Sequence[Tensor]) -> set[torch.autograd.graph.Node]:
    """Return the nodes of the graph with these ends, other than those that accumulate gradients."""
    left, nodes = [end.grad_fn for end in ends], set()
    while left:
        node = left.pop()
        if node is not None and node not in nodes and not hasattr(node, "variable"):
            nodes.add(node)
            left += [following for following, _ in node.next_functions]
    return nodes


@torch.no_grad()
def _add(parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        else:
            parameter.grad.add_(gradient)
