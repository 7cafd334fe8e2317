from __future__ import annotations

from types import SimpleNamespace

import pytest
from markupsafe import escape

from i2i.report import Reporter, write_report
from i2i.report.facts import status
from i2i.report.findings import looked_for
from i2i.report.metrics import meaning
from i2i.report.record import read_record
from i2i.runs.listeners.metrics_file import MetricsFile
from i2i.runs.run import create_run
from tests.report.conftest import score, write_lines
from tests.wording import check_line


@pytest.fixture
def page(finished):
    return write_report(finished).read_text(encoding="utf-8")


def test_the_page_lies_in_the_run_folder_beside_the_tables(finished):
    assert write_report(finished) == finished / "report.html"
    assert {"losses.csv", "scores.csv"} <= {path.name for path in finished.iterdir()}


def test_the_page_needs_nothing_from_outside(page):
    for outside in ("http:", "https:", 'src="', "url(/", "<link", "@import", "<iframe", "fetch("):
        assert outside not in page
    assert "default-src 'none'" in page  # so that the browser holds it to that


def test_the_page_shows_every_part(page):
    for part in ("result", "scores", "film", "losses", "run"):
        assert f'id="{part}"' in page
        assert f'href="#{part}"' in page
    assert "Checkerboard: woman 0.90" in page
    assert "<code>--generator.upsampling</code> bilinear" in page
    assert "kid: n too small for l1: 1 of 2" in page
    assert page.count("<polyline") == 2 * (2 + 1) + 2 * 2 + 2 * (2 + 1)  # losses, overfitting, scores of two stages
    assert '<td data-head="images of">kid</td>' in page
    assert "processor = &#34;Abacus&#34;" in page


def test_the_page_begins_with_a_verdict_and_explains_each_metric(page):
    assert page.index('<p class="verdict">Finished: by lpips, translations are ') < page.index("<nav")
    assert "1 warning." in page
    for metric in ("lpips", "l1"):
        assert f'<p class="meaning">{escape(meaning(metric))}</p>' in page
    assert meaning("nobody-knows") == ""


def test_a_run_that_has_only_begun_has_a_page_too(folder):
    page = write_report(folder).read_text(encoding="utf-8")
    assert status(read_record(folder)) in page
    for part in ("result", "scores", "film", "losses"):
        assert f'id="{part}"' not in page
    assert "None of these faults" not in page


def test_the_legend_shows_a_base_model_where_there_is_one(finished, folder, page):
    mark = '<i class="before"></i> base model'
    assert mark in page
    write_lines(folder, {"stage": "base", "step": 1, "scores": {"woman": {"l1": score(0.5)}}})
    assert mark not in write_report(folder).read_text(encoding="utf-8")


def test_an_interval_that_is_not_known_is_not_shown(folder):
    known, bare = score(0.5), score(0.7, low=0.7, high=0.7)
    write_lines(folder, {"stage": "base", "step": 1, "scores": {"woman": {"l1": known}, "kid": {"l1": bare}}})
    page = write_report(folder).read_text(encoding="utf-8")
    assert 'aria-label="woman: 0.500, interval 0.400 to 0.600"' in page
    assert 'aria-label="kid: 0.700"' in page
    assert page.count('<i class="interval" style') == 1
    assert page.count("0.400 to 0.600</td>") == 1
    assert "0.700 to" not in page


def test_names_cannot_break_the_page(folder):
    write_lines(folder, *({"stage": "base", "step": step, "losses": {"<b>'\"&": 1.0}} for step in (1, 2)))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "<b>'" not in page
    assert "\\u003cb\\u003e\\u0027" in page
    assert "&lt;b&gt;&#39;&#34;&amp;" in page


def test_a_clean_bill_of_health_says_what_was_looked_for(folder):
    write_lines(folder, {"stage": "base", "step": 40, "symptoms": {"woman": {"blobs": 0.0}}})
    page = write_report(folder).read_text(encoding="utf-8")
    check_line(page, ", ".join(looked_for(read_record(folder))).lower())


def test_the_page_is_written_at_every_evaluation_and_when_training_stops(finished):
    path = finished / "report.html"
    Reporter().on_evaluate(SimpleNamespace(folder=finished, steps=20), 5, {})
    assert path.is_file()
    path.unlink()
    Reporter().on_train_end(SimpleNamespace(folder=finished, step=20, steps=20))
    Reporter().on_evaluate(SimpleNamespace(folder=finished, steps=20), 20, {})
    assert not path.exists()  # the model that comes next will write it
    Reporter().on_train_end(SimpleNamespace(folder=finished, step=19, steps=20))
    assert path.is_file()


def test_a_finished_run_has_a_page_that_says_so(tmp_path, tiny, registry):
    create_run(tmp_path, tiny, registry).execute([Reporter(), MetricsFile()])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<span class="chip good">finished</span>' in page
    assert "not finished" not in page


def test_the_page_is_written_for_the_model_of_a_stage_alone(finished):
    path, at = finished / "report.html", SimpleNamespace(folder=finished, stage="transfer")
    Reporter().on_checkpoint(at, finished / "state.safetensors")
    assert not path.exists()
    Reporter().on_checkpoint(at, finished / "model.safetensors")
    assert path.is_file()


def test_a_report_that_fails_ends_no_run(finished, monkeypatch, capsys):
    def fail(*arguments, **content):
        raise ZeroDivisionError("float division by zero")

    monkeypatch.setattr("i2i.report.run.write_page", fail)
    Reporter().on_evaluate(SimpleNamespace(folder=finished, steps=20), 5, {})
    warning = f"(ZeroDivisionError: float division by zero). The run goes on. Try again with: i2i report {finished}\n"
    assert capsys.readouterr().err == f"The report was not written {warning}"
