"""What a few-shot step of `branch` computes: no weight gradient of the trunk, and no more for more groups."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from i2i.contracts.branches import branch_parameters, parameters_without
from i2i.contracts.loss import Passes
from i2i.contracts.transfer import Route
from i2i.training.step import Training

WEIGHT = 1  # where a convolution's backward is asked for the gradient of its weight
WEIGHTED = {torch.ops.aten.convolution_backward.default: 2}  # operator to the position of the weight


class WeightGradients(TorchDispatchMode):
    """Notes the shapes of the weights whose gradients convolutions compute."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[torch.Tensor] = []

    def __torch_dispatch__(self, operator, types, arguments=(), options=None):
        if operator in WEIGHTED and arguments[-1][WEIGHT]:
            self.weights.append(arguments[WEIGHTED[operator]])
        return operator(*arguments, **(options or {}))


def few_shot(training: Training) -> Passes:
    return training._generate(training._draw()[1])


def convolution_backward(grad, x, weight, bias, stride, padding, dilation, transposed, *rest, out_val) -> int:
    """Count operations as torch's counter does, but for grouped convolutions, too, which it takes for dense ones."""
    pixels = (x if transposed else grad)[:, 0].numel()
    return 2 * pixels * weight.numel() * sum(rest[-1][: WEIGHT + 1])


convolution_backward._get_raw = True  # with tensors instead of shapes
COUNTED = {torch.ops.aten.convolution_backward: convolution_backward}


def flops(call) -> int:
    with FlopCounterMode(display=False, custom_mapping=COUNTED) as counter:
        call()
    return counter.get_total_flops()


@pytest.mark.parametrize("backbone", ["cyclegan", "ugatit"])
def test_a_few_shot_step_computes_no_weight_gradient_of_the_trunk(prepare, backbone):
    training = prepare("branch", backbone=backbone, cam_groups="base")
    networks, groups = training.backbone.generators, training.transfer.groups
    passes = few_shot(training)
    with WeightGradients() as noted:
        training._backward("generator", passes)
    trunk = {p.data_ptr() for p in parameters_without(networks, (training.transfer.base, *groups))}
    found = {weight.data_ptr() for weight in noted.weights}
    assert found, "own branches are convolutions"
    assert not found & trunk
    assert not found & {p.data_ptr() for p in training.backbone.discriminators.parameters()}


@pytest.mark.parametrize("backbone", ["cyclegan", "unit"])
def test_it_saves_the_floating_point_operations_of_those_gradients(prepare, backbone):
    """The gradient of a convolution's weight takes as many as the convolution did."""
    training = prepare("branch", backbone=backbone, cam_groups="base")
    networks, groups = training.backbone.generators, training.transfer.groups
    passes = few_shot(training)
    selective = flops(lambda: training._backward("generator", passes))
    own, everything = branch_parameters(networks, groups), list(networks.parameters())
    shared = [p for p in everything if id(p) not in {id(q) for q in own}]
    passes = few_shot(training)
    training.transfer.route = lambda side, groups, losses: [Route(sum(losses.values()).mean(), everything)]
    full = flops(lambda: training._backward("generator", passes))
    trunk = _forward_flops(training, shared)
    assert full - selective == trunk > 0


def _forward_flops(training: Training, parameters) -> int:
    """Count what the convolutions of these parameters take in the passes of a few-shot sub-batch."""
    wanted, found = {p.data_ptr() for p in parameters}, []

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, arguments=(), options=None):
            if operator is not torch.ops.aten.convolution.default or arguments[1].data_ptr() not in wanted:
                return operator(*arguments, **(options or {}))
            with FlopCounterMode(display=False) as counter:
                result = operator(*arguments, **(options or {}))
            found.append(counter.get_total_flops())
            return result

    with Counter():
        few_shot(training)
    return sum(found)


def test_the_cost_grows_with_samples_not_with_groups(prepare):
    """Twelve samples cost the same operations, whether they are of two groups or of six."""
    counts = []
    for groups, samples in (("ab", 6), ("abcdef", 2)):
        training = prepare("branch", tuple(groups), "cyclegan", samples=samples, judge="classification")
        passes = few_shot(training)
        counts.append(flops(lambda training=training: few_shot(training)))
        counts[-1] += flops(lambda training=training, passes=passes: training._backward("generator", passes))
    few, many = counts
    assert many == pytest.approx(few, rel=1e-3)
