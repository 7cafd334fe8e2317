"""A summary of a run: its parts, length, machine, and images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from i2i.compute.units import duration
from i2i.report.record import Record


def title(record: Record) -> str:
    """Return the title of a run: its backbone, and its transfer if it has one."""
    config = record.config
    suffix = f", transfer {config.transfer['name']}" if "transfer" in config.stages else ", base model"
    return f"{config.backbone['name']}{suffix}"


def status(record: Record) -> str:
    """Return whether a run is finished, or else its progress."""
    if record.finished:
        return "finished"
    for stage in record.config.stages:
        done, steps = record.step(stage), record.config.steps_of(stage)
        if done < steps:
            return f"not finished: {stage}, step {done} of {steps}"
    return "not finished"


def facts(record: Record) -> dict[str, str]:
    """Return the known facts of a run by name."""
    config, machine = record.config, record.machine
    known = {
        "Folder": str(record.folder),
        "Backbone": _named(config.backbone, "generator", "discriminator", "channels", "lr"),
        "Transfer": _named(config.transfer, "judge") if "transfer" in config.stages else "none",
        "Starts from": config.base_model or "",
        "Data": _named(config.data, "root") if config.data else "",  # a model outside a run folder has no data
        "Images": f"{config.size} px, {config.batch_size} per step",
        "Steps": ", ".join(f"{stage} {record.step(stage)}" for stage in record.stages),
        "Time": _time(record),
        "Rolled back": _rollbacks(record),
        "Options": _options(record),
        "Machine": ", ".join(str(machine[key]) for key in ("processor", "system") if key in machine),
        "Computed": _computed(record),
        "Versions": ", ".join(f"{name} {version}" for name, version in _software(record).items()),
    }
    return {name: text for name, text in known.items() if text}


def image_rows(record: Record) -> list[list[str]]:
    """Return a header and one row of image counts per group, from the last diagnosis."""
    last = record.last(lambda line: line.images)
    if last is None:
        return []
    _, counts = last
    heads = ["images of", *next(iter(counts.values()), ())]
    return [heads, *([group, *map(str, by_kind.values())] for group, by_kind in counts.items())]


def _named(section: Mapping[str, Any], *details: str) -> str:
    text = ", ".join(f"{key} {section[key]}" for key in details if section.get(key) is not None)
    return f"{section['name']} ({text})" if text else str(section["name"])


def _time(record: Record) -> str:
    by_stage = {stage: sum(s for _, s in record.of(stage, lambda line: line.seconds)) for stage in record.stages}
    return ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in by_stage.items() if seconds)


def _rollbacks(record: Record) -> str:
    by_stage = {stage: max((n for _, n in record.of(stage, lambda line: line.halvings)), default=0)
                for stage in record.stages}  # fmt: skip
    counts = [f"{stage} {number}" for stage, number in by_stage.items() if number]
    return f"{', '.join(counts)} (each time with half the learning rate)" if counts else ""


def _options(record: Record) -> str:
    config = record.config
    ema = [f"moving average {config.ema:g}"] if config.ema else []
    augment = [f"augmentation {config.augment}"] if config.augment != "none" else []
    return ", ".join([f"seed {config.seed}", *ema, *augment])


def _computed(record: Record) -> str:
    device = record.machine.get("device", record.config.device)
    threads = record.machine.get("threads", record.config.threads)
    precision = {"32": "full precision", "bf16": "bfloat16"}[record.config.precision]
    return ", ".join([f"on {device}", precision] + ([f"{threads} thread{'s' * (threads > 1)}"] if threads else []))


def _software(record: Record) -> dict[str, Any]:
    places = (("i2i", record.versions), ("torch", record.machine))
    return {name: place[name] for name, place in places if name in place}
