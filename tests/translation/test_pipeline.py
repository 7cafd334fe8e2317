"""Many files at once: the results of one at a time, and no image that takes others with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.errors import ConfigError, DataError
from i2i.images.files import read_image
from i2i.images.metadata import Metadata
from i2i.models.assembly import resolve
from i2i.models.checkpoint import load, save
from i2i.models.model import Model
from i2i.translation import pipeline
from i2i.translation.jobs import Job
from i2i.translation.pipeline import Outcome, Pipeline
from i2i.translation.sheets import Sheet
from tests.wording import check

SIDE = 32
SIZES = [(40, 40), (40, 40), (64, 40), (40, 40), (40, 64), (40, 40), (64, 40)]


@pytest.fixture(scope="module")
def model(tiny, registry) -> Model:
    torch.manual_seed(0)
    return Model(resolve({**tiny, "transfer": {"name": "branch"}}, registry), "woman", ("kid",))


@pytest.fixture
def jobs(tmp_path) -> list[Job]:
    for number, size in enumerate(SIZES):
        Image.effect_noise(size, 80).convert("RGB").save(tmp_path / f"{number}.png")
    return [Job(tmp_path / f"{n}.png", tmp_path / "new" / f"{n}.png") for n in range(len(SIZES))]


@pytest.fixture
def fail(model, monkeypatch) -> Callable[..., None]:
    """Let the translation of batches with a dark image raise."""

    def patch(error: Exception) -> None:
        translate = model.translate

        def fragile(x: torch.Tensor, *arguments: object) -> torch.Tensor:
            if (x.amax((1, 2, 3)) < 0).any():
                raise error
            return translate(x, *arguments)

        monkeypatch.setattr(model, "translate", fragile)

    return patch


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path), np.int16)


@pytest.mark.parametrize("options", [{}, {"batch": 1}, {"batch": 3}, {"batch": 2, "cores": 3}, {"group": "kid"}])
def test_results_are_those_of_one_at_a_time(model, jobs, options) -> None:
    outcomes = list(Pipeline(model, **options).run(jobs))
    assert outcomes == [Outcome(job, options.get("group")) for job in jobs]
    for job in jobs:
        alone = model.translate(read_image(job.source), options.get("group"))
        assert np.abs(pixels(job.target) - np.asarray(alone, np.int16)).max() <= 1  # docs/scale.md promises it


def test_images_of_one_size_share_a_call(model, jobs, monkeypatch) -> None:
    shapes, translate = [], model.translate
    monkeypatch.setattr(model, "translate", lambda x, *rest: shapes.append(tuple(x.shape)) or translate(x, *rest))
    list(Pipeline(model, batch=4).run(jobs))
    assert sorted(shapes) == sorted([(4, 3, 32, 32), (2, 3, 32, 51), (1, 3, 51, 32)])


def test_the_model_and_torch_are_left_as_they_were(model, jobs) -> None:
    model.backbone.train()
    torch.set_num_threads(2)
    try:
        list(Pipeline(model, cores=4).run(jobs[:2]))
        assert (model.backbone.training, torch.get_num_threads()) == (True, 2)
    finally:
        torch.set_num_threads(1)


def test_the_first_translation_is_there_before_the_last_image_is_read(model, jobs) -> None:
    missing = Job(jobs[0].source.parent / "late.png", jobs[0].target.parent / "late.png")
    outcomes = Pipeline(model, batch=1).run([*jobs, missing])
    first = next(outcomes)
    assert first.job.target.exists()
    Image.new("RGB", (40, 40)).save(missing.source)
    assert [one.error for one in outcomes] == [""] * len(jobs)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_an_image_that_the_model_fails_at_fails_alone(model, jobs, fail, error, batch) -> None:
    Image.new("RGB", (40, 40)).save(jobs[1].source)
    fail(error)
    outcomes = list(Pipeline(model, batch=batch).run(jobs))
    assert [bool(one.error) for one in outcomes] == [n == 1 for n in range(len(jobs))]
    assert str(jobs[1].source) in outcomes[1].error
    assert type(error).__name__ in outcomes[1].error
    assert [job.target.exists() for job in jobs] == [n != 1 for n in range(len(jobs))]


def test_images_that_cannot_be_read_or_written_fail_alone(model, jobs) -> None:
    jobs[0].source.unlink()
    jobs[0].source.symlink_to(jobs[0].source)
    jobs[2].source.write_bytes(jobs[2].source.read_bytes()[:300])
    jobs[5].target.mkdir(parents=True)
    outcomes = list(Pipeline(model).run(jobs))
    assert [number for number, one in enumerate(outcomes) if one.error] == [0, 2, 5]


def test_a_failure_names_its_file_even_if_the_exception_does_not(model, jobs, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise DataError("An image of 1 x 12000 pixels is too long.")

    monkeypatch.setattr("i2i.translation.pipeline.fit_short_side", refuse)
    assert all(str(one.job.source) in one.error for one in Pipeline(model).run(jobs))


def test_an_option_that_no_image_can_have_ends_it(model, jobs) -> None:
    with pytest.raises(ConfigError):
        list(Pipeline(model, "kidd").run(jobs))


def test_groups_are_detected_per_image(model, jobs) -> None:
    class Light:
        name = "light"

        def detect(self, image: torch.Tensor, groups: object) -> str:
            return "kid" if image.mean() > 0.5 else "woman"

    Image.new("RGB", (40, 40), "white").save(jobs[3].source)
    model.detector = Light()
    try:
        outcomes = list(Pipeline(model, "auto", batch=8).run(jobs))
    finally:
        model.detector = None
    assert [one.group for one in outcomes] == ["kid" if n == 3 else "woman" for n in range(len(jobs))]


def test_a_group_head_is_read_once_for_all_threads(jobs, tiny, registry, tmp_path, monkeypatch) -> None:
    judged = {**tiny, "transfer": {"name": "branch", "judge": "classification"}}
    save(Model(resolve(judged, registry), "woman", ("kid",)), tmp_path / "judged.safetensors")
    model, reads = load(tmp_path / "judged.safetensors", registry), []
    unread = model._unread
    monkeypatch.setattr(model, "_unread", lambda: reads.append(1) or unread())
    outcomes = list(Pipeline(model, "auto", batch=1, cores=4).run(jobs))
    assert [one.error for one in outcomes] == [""] * len(jobs)
    assert {one.group for one in outcomes} <= {"woman", "kid"}
    assert len(reads) == 1


def test_bfloat16_is_close(model, jobs) -> None:
    list(Pipeline(model, half=True).run(jobs))
    differences = [
        np.abs(pixels(job.target) - np.asarray(model.translate(read_image(job.source)), np.int16)) for job in jobs
    ]
    assert 0 < max(one.max() for one in differences) <= 16
    assert max(one.mean() for one in differences) < 2


def test_panels_that_would_be_too_large_fail_alone(model, jobs, monkeypatch) -> None:
    monkeypatch.setattr("i2i.translation.sheets.MAX_PIXELS", 2 * 40 * 40)
    outcomes = list(Pipeline(model, sheet=Sheet(source=True)).run(jobs))
    assert [bool(outcome.error) for outcome in outcomes] == [size != (40, 40) for size in SIZES]
    check(outcomes[2].error, jobs[2].source, "2 panels of 64 x 40", "--side-by-side")


def test_metadata_is_read_when_it_is_written_as_opacities_are_large(model, jobs, monkeypatch) -> None:
    read, written, ahead, of, write = [], [], [], Metadata.of, pipeline.write_image

    def count(image: Image.Image, path: Path, *rest: object, **options: object) -> None:
        written.append(path)
        ahead.append(len(read) - len(written))
        write(image, path, *rest, **options)

    monkeypatch.setattr(Metadata, "of", staticmethod(lambda path: read.append(path) or of(path)))
    monkeypatch.setattr(pipeline, "write_image", count)
    assert not any(outcome.error for outcome in Pipeline(model, cores=1, batch=8).run(jobs))
    assert (len(written), max(ahead) <= 2) == (len(jobs), True)


def test_few_images_are_in_memory_and_none_is_read_once_nobody_asks(model, jobs, monkeypatch) -> None:
    seen: list[Path] = []
    monkeypatch.setattr("i2i.translation.pipeline.read_image", lambda path: seen.append(path) or read_image(path))
    outcomes = Pipeline(model, batch=2).run(jobs * 50)
    next(outcomes)
    outcomes.close()
    assert len(seen) <= 20
