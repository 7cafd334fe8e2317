"""What each process does that torchrun starts in test_processes.py: ``-m tests.compute.pair FOLDER``.

The folder has a data set in ``data``; they leave in it what they find.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from i2i import cli
from i2i.compute.engine import Engine
from i2i.compute.processes import Processes
from i2i.errors import ConfigError, DataError, I2IError
from i2i.registry.registry import installed
from i2i.storage.tensor_file import write
from i2i.training.augmentation import INTERVAL, Adaptive
from i2i.training.loader import Loader
from i2i.training.step import Training
from i2i.training.substeps import CollectingAugmentation
from tests.plugins.i2i_transfer.routing import CASES, changes, precise, snapshot, training_of

TRANSFERS = [name for name in CASES if "," not in name]
OPTIONS = ["--size=32", "--batch-size=1", "--steps=2", "--transfer-steps=2", "--checkpoint-every=1", "--device=cpu"]
OPTIONS += ["--backbone=cyclegan", "--backbone.channels=4", "--backbone.pool_size=2", "--generator.blocks=1"]
OPTIONS += ["--augment=diffaugment", "--ema=0.9", "--evaluate.metrics=l1"]


def main(folder: Path) -> None:
    atexit.register(leave_note, folder, os.environ["RANK"])
    processes = Engine("cpu").processes
    found = {
        "meetings": meetings(processes),
        "heard": heard(processes),
        "trainings": {name: train(folder, name, processes) for name in TRANSFERS},
        "statuses": runs(folder, processes),
    }
    (folder / f"found-{processes.index}.json").write_text(json.dumps(found))


def leave_note(folder: Path, index: str) -> None:
    """Note whether the process group is there at the very end."""
    (folder / f"group-{index}").write_text(str(torch.distributed.is_initialized()))


def meetings(processes: Processes) -> dict[str, Any]:
    """Return what each meeting gives here."""
    own, said = torch.arange(2.0) + processes.index, []
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, processes.index + 1.0)
    processes.share(layer)
    try:
        processes.once(lambda: refuse("Schluß"))
    except I2IError as error:
        said = [type(error).__name__, str(error)]
    return {
        "largest": processes.largest(processes.index),
        "any": [processes.any(processes.index == 1), processes.any(False)],
        "mean": processes.mean(own).tolist(),
        "own": own.tolist(),
        "join": processes.join(own[: processes.index + 1]).tolist(),
        "gather": [{n: t.tolist() for n, t in tensors.items()} for tensors in processes.gather({"own": own})],
        "share": layer.weight.flatten().tolist(),
        "gradients": gradients(processes),
        "once": said,
    }


def refuse(message: str) -> None:
    raise ConfigError(message)


def gradients(processes: Processes) -> list[Any]:
    """Average gradients that both have, one has, and none has; the last is of another type."""
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)] + [nn.Parameter(torch.zeros(1).double())]
    parameters[0].grad = torch.tensor([1.0, 2.0]) * (processes.index + 1)
    parameters[3].grad = torch.tensor([4.0]).double()
    if processes.first:
        parameters[1].grad = torch.tensor([3.0, 5.0])
    processes.average_gradients(parameters)
    return [None if parameter.grad is None else parameter.grad.tolist() for parameter in parameters]


def heard(processes: Processes) -> dict[str, float]:
    """Return the chances of an augmentation for which the processes hear of one, two and three groups."""
    hearing = CollectingAugmentation(Adaptive(0.0, rise=8), ("woman", "man", "kid"), processes)
    for _ in range(INTERVAL):
        if processes.first:
            hearing.observe("b", [torch.ones(1, 1)], ("kid",))
        else:
            hearing.observe("b", [torch.tensor([1.0, -1.0])[:, None]], ("woman", "man"))
            hearing.observe("b", [torch.ones(1, 1)], ("kid",))
        hearing.settle(hearing.collected())
    return hearing.chances


def train(folder: Path, name: str, processes: Processes) -> dict[str, Any]:
    """Take a step with samples of the base, one with those of a new group, and one as drawn; the first one saves."""
    images = folder / f"images-{processes.index}"
    images.mkdir(exist_ok=True)
    training = precise(training_of(images, installed(), name, backbone="cyclegan", **CASES[name][0]))
    changed = {group: changed_by(training, group) for group in ("woman", "man")}
    del training.transfer.draw
    report = training.step()
    if processes.first:
        write(folder / f"{name}.safetensors", training.backbone.state_dict(), {})
    return {"changed": changed, "digest": digest(training), "report": report, "positions": training.loader.positions}


def changed_by(training: Training, group: str) -> list[str]:
    training.transfer.draw = lambda batch_size, rng: [(group,)]
    before = snapshot(training)
    training.step()
    return sorted(changes(training, before))


def digest(training: Training) -> str:
    found = hashlib.sha256()
    for tensor in training.backbone.state_dict().values():
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def runs(folder: Path, processes: Processes) -> dict[str, int]:
    """Train, stop, go on and fail by command lines; return their statuses."""
    options = [*OPTIONS, f"--data={folder / 'data'}"]
    whole = ["run", *options, "--out", str(folder / "whole")]
    stopped, interrupted = folder / "stopped", folder / "interrupted"
    found = {"whole": status(whole)}
    found["stopped"] = status(["run", *options, "--out", str(stopped), "--stop-after=3"])
    found["resumed"] = status(["run", "--resume", str(stopped)])
    Training.step, step = interrupting(Training.step, processes), Training.step
    found["interrupted"] = status(["run", *options, "--out", str(interrupted)])
    Training.step = step
    found["gone on"] = status(["run", "--resume", str(interrupted)])
    found["refused"] = status(whole)
    os.environ["TORCHELASTIC_RESTART_COUNT"] = "1"  # a failure counts once
    if not processes.first:
        Loader.batch = lambda *_: spoil()
    found["failed"] = status(["run", *options, "--out", str(folder / "failed")])
    return found


def status(arguments: list[str]) -> int:
    try:
        cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    raise AssertionError("a command line always exits")


def interrupting(step: Any, processes: Processes) -> Any:
    """Return a step in which the second process alone is interrupted, twice, as by a terminal and by torchrun."""

    def interrupted(training: Training) -> Any:
        for _ in range(0 if processes.first else 2):
            os.kill(os.getpid(), signal.SIGINT)
        return step(training)

    return interrupted


def spoil() -> None:
    raise DataError("spoilt.png cannot be read. Restore it.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
