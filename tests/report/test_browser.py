"""The page in a real browser: it loads without errors or network, is read out, and fits a phone.

Debian's Chromium will do (``apt install chromium``). Where CI is set it has to be there.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from i2i.report import write_report
from tests.browsing import DESKTOP, PHONE, Watched, protruding, watch
from tests.report.conftest import SHADES


@pytest.fixture
def visit(browser, finished):
    """Open the report of a finished run in a window of some size, or with a finger."""
    path = write_report(finished)

    def call(viewport=DESKTOP, **options) -> Watched:
        watched = watch(browser, viewport, **options)
        watched.page.goto(path.as_uri())
        return watched

    return call


def test_it_loads_without_errors_or_network(visit, finished):
    watched = visit()
    outside = [url for url in watched.requests if not url.startswith("data:")]
    assert outside == [(finished / "report.html").as_uri()]
    assert watched.complaints == []
    assert watched.page.title() == "i2i: ugatit, transfer branch"


def test_the_slider_swaps_the_translations_and_nothing_else(visit):
    page = visit().page
    cell = "#film [data-group=kid] .cell[aria-label='kid, {} 1']"
    moving, still = (page.locator(cell.format(row)) for row in ("translation", "source"))
    shown = page.locator("#film output")
    assert shown.inner_text() == "transfer, step 20"
    last, source = picture(moving), picture(still)
    page.locator("#film input").focus()
    for step in ("transfer, step 10", "base, step 40", "base, step 20"):
        page.keyboard.press("ArrowLeft")
        assert shown.inner_text() == step
        assert picture(moving) != last
        assert picture(still) == source
        last = picture(moving)
    page.keyboard.press("End")
    assert shown.inner_text() == "transfer, step 20"


def picture(cell) -> str:
    found = cell.evaluate("cell => getComputedStyle(cell).backgroundImage")
    assert found.startswith('url("data:image/webp;base64,')
    return found


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_image_is_enlarged_with_those_of_its_column(visit, viewport):
    watched = visit(viewport)
    page = watched.page
    cell = page.locator("#result [data-group=woman] .cell[aria-label='woman, translation 6']")
    small = cell.bounding_box()["width"]
    cell.click()
    large = page.locator("dialog .cell")
    assert page.locator("dialog figcaption").all_inner_texts() == list(SHADES)
    assert large.first.bounding_box()["width"] > 1.5 * small
    assert picture(large.nth(2)) == picture(cell)
    shot = Image.open(io.BytesIO(large.nth(2).screenshot())).convert("RGB")
    assert shot.getpixel((shot.width // 2, shot.height // 2)) == pytest.approx((SHADES["translation"], 200, 0), abs=15)
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    cell.focus()
    page.keyboard.press("Enter")
    page.locator("dialog").wait_for(state="visible")
    assert watched.complaints == []


def test_the_curves_of_none_and_branch_cannot_be_confused(visit):
    """They are the first and the sixth of the transfers compared by default."""
    for scheme in ("light", "dark"):
        page = visit(color_scheme=scheme).page
        colours = page.evaluate(
            """() => [...Array(8).keys()].map((i) => getComputedStyle(document.body).getPropertyValue(`--c${i}`))
            .map((colour) => Object.assign(document.createElement("i"), { style: `color:${colour}` }))
            .map((i) => { document.body.append(i); return getComputedStyle(i).color.match(/\\d+/g).map(Number); })"""
        )
        distances = {
            (one, other): sum((a - b) ** 2 for a, b in zip(colours[one], colours[other], strict=True)) ** 0.5
            for one in range(8)
            for other in range(one)
        }
        assert distances[5, 0] > 100
        assert min(distances.values()) > 40


def test_pictures_are_drawn(visit):
    """From edge to edge a cell on the screen has the colour of its image in the grid."""
    page = visit().page
    for number in range(6):
        cell = page.locator(f"#result [data-group=woman] .cell[aria-label='woman, true drawing {number + 1}']")
        image = Image.open(io.BytesIO(cell.screenshot())).convert("RGB")
        for x in (0.08, 0.5, 0.92):
            pixel = image.getpixel((int(x * image.width), image.height // 2))
            assert pixel == pytest.approx((240, 40 * number, 0), abs=15)


def test_hovering_shows_the_value_at_the_pointer(visit):
    page = visit().page
    plot = page.locator("#losses .plot").first
    plot.scroll_into_view_if_needed()
    tip = plot.locator(".tip")
    assert not tip.is_visible()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 20)
    assert tip.inner_text() == "step 1\ngenerator 2\ndiscriminator 1"
    page.mouse.move(box["x"] + box["width"] * 3 / 39, box["y"] + 20)
    assert tip.inner_text() == "step 4\ngenerator 0.5\ndiscriminator 0.25"
    page.mouse.move(2, 2)
    assert not tip.is_visible()


def test_arrow_keys_read_a_chart_out(visit):
    page = visit().page
    plot = page.locator("#losses .plot").first
    plot.focus()
    assert plot.locator(".tip").inner_text().startswith("step 40\n")
    page.keyboard.press("ArrowLeft")
    assert plot.locator(".tip").inner_text().startswith("step 39\n")


def test_a_finger_reads_a_chart_out(visit):
    page = visit(PHONE, has_touch=True, is_mobile=True).page
    plot = page.locator("#losses .plot").first
    plot.scroll_into_view_if_needed()
    plot.tap(position={"x": 2, "y": 30})
    assert plot.locator(".tip").inner_text() == "step 1\ngenerator 2\ndiscriminator 1"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_page_tables_included(visit, viewport, scheme):
    page = visit(viewport, color_scheme=scheme).page
    for details in page.locator("details").all():
        details.evaluate("details => { details.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    assert protruding(page, "main *, header *, footer", scrolling="pre, svg, [hidden]") == []


def test_marks_lie_on_their_line(visit):
    page = visit().page
    line = page.locator("#scores .line").first
    box = line.bounding_box()
    centres = {}
    for name in ("real-drawings", "dot", "before", "untranslated"):
        mark = line.locator(f".{name}").bounding_box()
        centres[name] = (mark["x"] + mark["width"] / 2 - box["x"]) / box["width"]
    assert list(sorted(centres, key=centres.__getitem__)) == ["real-drawings", "dot", "before", "untranslated"]
    assert 0 < centres["real-drawings"] < centres["untranslated"] < 1


def test_a_page_of_a_run_that_has_only_begun_loads(browser, folder):
    path: Path = write_report(folder)
    watched = watch(browser, PHONE)
    watched.page.goto(path.as_uri())
    assert watched.complaints == []
    assert watched.page.evaluate("document.documentElement.scrollWidth") == 390
