"""The training step, shared by all backbones and transfers.

`Training.step` runs one step:

1. **Learning rates.** `Training._set_learning_rates` scales them by `Backbone.lr_factor`: constant during the first
   half of a stage, then linearly down to zero. After a rollback they are halved.
2. **Images.** `SubStepSchedule.load` gets the groups of the step from the transfer (`Transfer.draw`) and one image of
   each domain per sample from the loader (`Loader.batch`). The result is a list of sub-batches. With `branch`, one
   holds base samples and one holds samples of all new groups.
3. **Translations.** `Training._passes` runs the generators on each sub-batch (`Backbone.passes`), each sample through
   its group's branch. Fakes are always computed; identity images, cycled images and the rest only if a loss needs
   them (`Loss.needs`). Both directions run at the same time, each on half of the CPU threads (`Concurrency`), here and
   in the discriminators and backward passes below.
4. **First side.** `Training._update` trains the side given by `Backbone.first`: the discriminators in U-GAT-IT, the
   generators in CycleGAN. `Training._backward` processes one sub-batch at a time. The discriminators run on it
   (`Backbone.judge`): on real images and detached fakes for their own update, on live fakes for the generators'. Each
   loss returns one value per sample (`Loss.discriminator`, `Loss.generator`) and is multiplied by its weight. The
   transfer decides which parameters each loss may update (`Transfer.route`), and `Training._send` back-propagates the
   loss into only those, with `backward(inputs=parameters)`: from the loss to the passes, and from there through both
   directions at the same time (`Directions`).
5. **Its optimizer.** After all sub-batches, `Training._update` averages the gradients over the processes
   (`Processes.average_gradients`) and takes an optimizer step, or several in order if routes request later updates
   (`Gradients`).
6. **Second side.** The same for the other side, on the same translations. If the generators come second, they are
   trained against the updated discriminators.
7. **Afterwards.** `Backbone.after_step` clamps parameters to their range, and the moving average is updated
   (`Average.update`).
8. **Report.** `Training._report` averages each loss over the processes. Until here no value has been read, so that a
   GPU's queue never runs empty; now all are, in one copy (`download`). The augmentation receives the discriminators'
   logits of real images (`CollectingAugmentation.settle`), and NaN or infinity raises `TrainingError`. `Run` passes
   the losses to every listener's `on_step`.

The code is in four files: `i2i/training/step.py` (the order), `i2i/contracts/backbone.py` (translations and
discriminator outputs), `i2i/contracts/transfer.py` (groups and the parameters they may update) and
`i2i/training/directions.py` (backward passes). For sub-steps and several processes, `i2i/training/substeps.py`
distributes the sub-batches and, with `accumulate`, translates them one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from i2i.compute.concurrency import Concurrency
from i2i.compute.engine import Engine
from i2i.compute.host import download
from i2i.compute.randomness import random_state, seed_process, set_random_state
from i2i.config.options import GroupAndDomain
from i2i.contracts.augmentation import Augmentation, Unaugmented
from i2i.contracts.backbone import Backbone, Side
from i2i.contracts.domains import Batch
from i2i.contracts.loss import Loss, Passes
from i2i.contracts.pretrained import Pretrained
from i2i.contracts.transfer import Route, Transfer
from i2i.errors import PluginError, TrainingError
from i2i.storage.tensor_file import Description
from i2i.training.average import Average
from i2i.training.compilation import Compilation, frozen
from i2i.training.directions import CutPasses, Directions
from i2i.training.gradients import Gradients
from i2i.training.loader import Loader
from i2i.training.recomputation import recompute
from i2i.training.substeps import (
    CollectingAugmentation,
    PassesBySide,
    SequentialPasses,
    SubStepSchedule,
    joint_passes,
    needs,
)

SIDES: tuple[Side, Side] = ("discriminator", "generator")


class Progress(Description):
    """The progress of a stage of training.

    Attributes:
        done: Steps taken.
        positions: Images drawn by group and domain, as counted by the loader.
        halvings: Times the learning rates were halved.
    """

    done: int = Field(ge=0)
    positions: dict[GroupAndDomain, Annotated[int, Field(ge=0)]]
    halvings: int = Field(0, ge=0)


class Training:
    """One stage of training: a model, a strategy, its losses, two optimizers, and the step.

    Translations are computed once per step: discriminators get them detached, generator losses with their graph.
    Gradients reach only the parameters that the strategy routes them to. A step may consist of sub-steps, in this and
    other processes, whose gradients are averaged; those of one process run in turn, see `SequentialPasses`. The samples
    are the same as those a single process would draw.

    Args:
        backbone: The model, already adapted.
        transfer: Decides which groups make up a step, and what they may update.
        losses: Loss terms by name.
        loader: Provides the batches.
        engine: Where and at which precision to compute.
        steps: Total steps of the stage; learning rates depend on it.
        batch_size: Passed to the strategy; samples per sub-step in the base stage.
        seed: Seed for the strategy's draws.
        pretrained: Provides pretrained networks for losses.
        augmentation: Augmentation of the discriminators' input; none by default.
        ema: Decay of the moving average of the generators; 0 turns it off.
        accumulate: Sub-steps per step and process.
        low_memory: Compute activations again in the backward pass instead of keeping them.
        compiled: Compile stages of the networks; not together with ``low_memory``.
    """

    def __init__(
        self,
        backbone: Backbone,
        transfer: Transfer,
        losses: Mapping[str, Loss],
        loader: Loader,
        engine: Engine,
        *,
        steps: int,
        batch_size: int,
        seed: int,
        pretrained: Pretrained,
        augmentation: Augmentation | None = None,
        ema: float = 0.0,
        accumulate: int = 1,
        low_memory: bool = False,
        compiled: bool = False,
    ) -> None:
        self.backbone = backbone.to(engine.device).train()
        self.transfer, self.losses, self.loader, self.engine = transfer, losses, loader, engine
        self.steps, self.batch_size, self.accumulate = steps, batch_size, accumulate
        self.done, self.halvings = 0, 0
        self._schedule = SubStepSchedule(transfer, loader, engine.processes, batch_size, accumulate, seed)
        if low_memory:
            recompute(backbone)
        self._compilation = self._compile() if compiled else None
        self._augmentation = CollectingAugmentation(augmentation or Unaugmented(), self._groups, engine.processes)
        backbone.augmentation = self._augmentation
        plain = engine.device.type == "cpu" and engine.precision == "32" and not low_memory and not compiled
        backbone.concurrency = Concurrency(allowed=plain)  # autocast, checkpoints and compilers keep state per thread
        self._directions = Directions(backbone.concurrency)
        self.average = Average(backbone.generators, ema) if ema else None
        self.heads = self._prepare(pretrained)
        self._start_alike(seed)
        transfer.prepare({side: self.networks(side) for side in SIDES})
        self.optimizers = {side: self._optimizer(side) for side in SIDES}
        self._rates = {side: [g["lr"] for g in optimizer.param_groups] for side, optimizer in self.optimizers.items()}
        self._gradients = Gradients()
        self._needs = needs(losses.values())

    def networks(self, side: Side) -> nn.Module:
        """Return the networks a side updates: the generators with any loss heads, or the discriminators."""
        networks = self.backbone.networks(side)
        if side == "generator" and self.heads:
            return nn.ModuleDict({"networks": networks, "heads": self.heads})
        return networks

    @property
    def samples_per_step(self) -> int:
        """Images of one domain per step, over all processes."""
        return self._schedule.samples(self.done)

    @property
    def seen(self) -> dict[str, int]:
        """Images of domain b drawn so far, by group."""
        return {stream.removesuffix("/b"): n for stream, n in self.loader.positions.items() if stream.endswith("/b")}

    def step(self) -> dict[str, float]:
        """Run one step; return the mean unweighted losses by ``side/term``.

        Raises:
            TrainingError: A loss is NaN or infinity.
        """
        self._set_learning_rates()
        first = self.backbone.first
        with self.backbone.concurrency.shared():
            passes = self._passes()
            means = [self._update(side, passes(side)) for side in (first, *(side for side in SIDES if side != first))]
        self.backbone.after_step()
        self.done += 1
        if self.average is not None:
            self.average.update(self.done)
        if self._compilation is not None:
            self._compilation.report()
        return self._report({name: mean for side in means for name, mean in side.items()})

    def averaged(self) -> AbstractContextManager[None]:
        """Use the generators' averaged weights inside the block, if an average is kept."""
        return nullcontext() if self.average is None else self.average.shown()

    def state(self) -> dict[str, Tensor]:
        """Return all state needed for the next step except the weights, as tensors by name.

        All processes must call this; the first also gets the others' image pools and random states.
        """
        tensors = {f"heads/{k}": v for k, v in self.heads.state_dict().items()}
        tensors |= {f"augmentation/{k}": v for k, v in self.backbone.augmentation.state().items()}
        tensors |= {f"average/{k}": v for k, v in (self.average.state() if self.average is not None else {}).items()}
        for side, optimizer in self.optimizers.items():
            for index, entries in optimizer.state_dict()["state"].items():
                tensors |= {f"{side}/{index}/{key}": torch.as_tensor(value) for key, value in entries.items()}
        for index, state in enumerate(self.engine.processes.gather(self._own_state())):
            tensors |= {_place(index) + name: tensor for name, tensor in state.items()}
        return tensors

    def _own_state(self) -> dict[str, Tensor]:
        tensors = {f"backbone/{k}": v for k, v in self.backbone.training_state().items()}
        if self._compilation is not None:
            tensors |= {f"compiled/{k}": v for k, v in self._compilation.state().items()}
        return tensors | {f"random/{k}": v for k, v in random_state().items()}

    def progress(self) -> Progress:
        """Return the state that is not tensors."""
        return Progress(done=self.done, positions=dict(self.loader.positions), halvings=self.halvings)

    def restore(self, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Restore the results of `state` and `progress`; exact with the same number of processes."""
        self.done, self.halvings = progress.done, progress.halvings
        self.loader.positions = dict(progress.positions)
        for side, optimizer in self.optimizers.items():
            _restore(optimizer, below(tensors, side))
        self.heads.load_state_dict(below(tensors, "heads"))
        self.backbone.augmentation.load(below(tensors, "augmentation"))
        if self.average is not None:
            self.average.load(below(tensors, "average"))
        self._restore_own(tensors)

    def _restore_own(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore this process's state; an additional process starts as at the beginning of the stage."""
        place = _place(self.engine.processes.index)
        self.backbone.load_training_state(below(tensors, f"{place}backbone"))
        if self._compilation is not None:
            self._compilation.load(below(tensors, f"{place}compiled"))
        random = below(tensors, f"{place}random")
        if random:
            set_random_state(random)

    def _compile(self) -> Compilation:
        """Compile the networks; a penalty on gradients needs second derivatives, which compiled code lacks."""
        penalised = "gradient" in needs(self.losses.values())
        sides: tuple[Side, ...] = ("generator",) if penalised else SIDES
        return Compilation(map(self.backbone.networks, sides), self.engine.device)

    def _prepare(self, pretrained: Pretrained) -> nn.ModuleDict:
        """Let losses load their networks, and return the heads some of them add."""
        generators, device = self.backbone.generators, self.engine.device
        heads = {name: loss.prepare(generators, device, pretrained) for name, loss in self.losses.items()}
        return nn.ModuleDict({name: head for name, head in heads.items() if head is not None}).to(self.engine.device)

    def _start_alike(self, seed: int) -> None:
        """Copy the first process's weights to all others, and seed each process differently."""
        processes = self.engine.processes
        for module in (self.backbone, self.heads):
            processes.share(module)
        if not processes.first:
            seed_process(seed, processes.index)

    def _optimizer(self, side: Side) -> torch.optim.Optimizer:
        rate = self.backbone.config.lr * self.transfer.config.lr
        return self.backbone.optimizer(self.transfer.parameter_groups(side, rate))

    def _set_learning_rates(self) -> None:
        factor = self.backbone.lr_factor(self.done, self.steps) * 0.5**self.halvings
        for side, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._rates[side], strict=True):
                group["lr"] = rate * factor

    @property
    def _groups(self) -> tuple[str, ...]:
        return (self.transfer.base, *self.transfer.groups)

    def _draw(self) -> list[tuple[str, ...]]:
        return self._schedule.draw(self.done)

    def _passes(self) -> PassesBySide:
        batches = self._schedule.load(self.done, self.engine.device)
        if self.accumulate == 1:
            return joint_passes(batches, self._run, self._needs)
        return SequentialPasses(batches, self._run, self.losses.values(), self.backbone.first)

    def _run(self, batch: Batch, wanted: frozenset[str]) -> Passes:
        with self.engine.autocast(), self._routed_only("generator", batch.groups):
            return self.backbone.passes(batch, wanted, self._groups)

    def _generate(self, groups: tuple[str, ...]) -> Passes:
        return self._run(self.loader.batch(groups, self.engine.device), self._needs)

    def _update(self, side: Side, passes: Iterable[Passes]) -> dict[str, Tensor]:
        """Compute the gradients of all sub-batches, then take the optimizer steps; return the mean of each term."""
        means = list(map(partial(self._backward, side), passes))  # map frees each pass before running the next
        optimizer, processes = self.optimizers[side], self.engine.processes
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for _ in self._gradients.updates(processes.largest):
            processes.average_gradients(parameters)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return {name: torch.stack([mean[name] for mean in means]).mean() for name in means[0]}

    def _backward(self, side: Side, passes: Passes) -> dict[str, Tensor]:
        groups = passes.batch.groups
        with self.engine.autocast():
            if "verdict" in self._needs:
                with self._routed_only(side, groups):
                    self.backbone.judge(passes, side)
            cut = self._directions.cut(passes, side)
            terms = {name: getattr(loss, side)(cut.passes) for name, loss in self.losses.items()}
        losses = {name: term for name, term in terms.items() if term is not None}
        _check_shapes(losses, len(groups))
        if not losses:
            return {}
        weighted = {name: self.losses[name].config.weight * term for name, term in losses.items()}
        self._send(self._routes(side, groups, weighted), cut)
        return {f"{side}/{name}": term.detach().mean() for name, term in losses.items()}

    def _routes(self, side: Side, groups: tuple[str, ...], weighted: Mapping[str, Tensor]) -> list[Route]:
        routes = list(self.transfer.route(side, groups, weighted))
        other = next((type(route).__name__ for route in routes if not isinstance(route, Route)), None)
        if other is not None:
            raise PluginError(f"The transfer '{self.transfer.name}' routes losses by a {other}. Yield i2i.Route alone.")
        return routes

    def _routed_only(self, side: Side, groups: tuple[str, ...]) -> AbstractContextManager[None]:
        """Freeze inside the block, for compiled code, what losses of these groups do not update on a side."""
        if self._compilation is None:
            return nullcontext()
        losses = {name: torch.zeros(len(groups), device=self.engine.device) for name in self.losses}
        routed = {id(parameter) for route in self._routes(side, groups, losses) for parameter in route.parameters}
        return frozen(parameter for parameter in self.backbone.parameters() if id(parameter) not in routed)

    def _send(self, routes: list[Route], cut: CutPasses) -> None:
        """Back-propagate each loss into its route's parameters; skip routes whose parameters are all frozen."""
        learning = [[parameter for parameter in route.parameters if parameter.requires_grad] for route in routes]
        sent = [(route, parameters) for route, parameters in zip(routes, learning, strict=True) if parameters]
        for index, (route, parameters) in enumerate(sent, start=1):
            with self._gradients.of(route.update, parameters):
                retain = index < len(sent)
                self.engine.backward(route.loss / self.accumulate, [*parameters, *cut.leaves], retain)
                self._directions.backward(cut.graphs, parameters, retain)

    def _report(self, means: Mapping[str, Tensor]) -> dict[str, float]:
        losses = self.engine.processes.mean(torch.stack(list(means.values())))
        losses, *logits = download([losses, *self._augmentation.collected()])
        self._augmentation.settle(logits)
        values = dict(zip(means, losses.tolist(), strict=True))
        broken = [name for name, value in values.items() if not np.isfinite(value)]
        if broken:
            raise TrainingError(f"Step {self.done}: the loss {broken[0]} is {values[broken[0]]}.")
        return values


def _check_shapes(losses: Mapping[str, Tensor], samples: int) -> None:
    for name, term in losses.items():
        if not isinstance(term, Tensor) or term.shape != (samples,) or not term.is_floating_point():
            returned = f"{tuple(term.shape)} of {term.dtype}" if isinstance(term, Tensor) else type(term).__name__
            raise PluginError(
                f"Loss '{name}' returned {returned}, not one real number for each of {samples} samples: ({samples},)."
            )


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under ``prefix/``, with the prefix removed from their names."""
    return {k.removeprefix(prefix + "/"): v for k, v in tensors.items() if k.startswith(prefix + "/")}


def _place(process: int) -> str:
    """Return the name prefix of a process's tensors."""
    return f"process/{process}/" if process else ""


def _restore(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load the state of an optimizer.

    Raises:
        ValueError: An entry has another shape than its parameter, or a parameter has only some of another's entries.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        if tensor.ndim and tensor.shape != parameters[int(index)].shape:
            raise ValueError(f"optimizer entry '{name}' has shape {tuple(tensor.shape)}")
        state.setdefault(int(index), {})[key] = tensor
    kinds = {frozenset(entries) for entries in state.values()}
    for number, entries in state.items():
        if lacking := {name for kind in kinds if entries.keys() < kind for name in kind - entries.keys()}:
            raise ValueError(f"optimizer entry '{number}/{min(lacking)}' is missing")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
