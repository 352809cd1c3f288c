"""The report in a real browser: nothing breaks, nothing is loaded, everything can be reached."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest
from report_outputs import open_image, suite

from workbench.data.catalog import SCORED
from workbench.report.render import build
from workbench.report.study.page import build_study

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)"
)
# Chromium's own business is switched off: it would look for updates; as root it has no sandbox
QUIET = (
    "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
).split() + (["--no-sandbox"] if os.geteuid() == 0 else [])
PAGES = ("index.html", "studies/toy.html")
OPEN_ALL = "document.querySelectorAll('details').forEach((part) => { part.open = true; })"


@pytest.fixture(scope="module")
def site(outputs, toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build_study(toy, folder, SCORED, open_image)
    build(outputs, folder, open_image, suite(), ["other", "toy"])
    return folder


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser, site):
    """Opens a page; gives it with what it said on the console and asked the network for."""
    contexts = []

    def go(name: str, width: int = 1400, scheme: str = "light"):
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: said.append(f"request: {request.url}"))
        page.goto((Path(site) / name).as_uri())
        mine = f"request: {(Path(site) / name).as_uri()}"
        return page, lambda: [line for line in said if line != mine and "request: data:" not in line]

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [375, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_say_nothing_on_the_console_and_ask_for_nothing(visit, name, width, scheme):
    page, said = visit(name, width, scheme)
    page.evaluate(OPEN_ALL)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")  # pictures are loaded when they are seen
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said() == []
    pictures = "[...document.images].filter((i) => i.complete && !i.naturalWidth).length"
    assert page.evaluate(pictures) == 0
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('main')).fontSize)") >= 16


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2)."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(visit, name, scheme):
    page, _ = visit(name, scheme=scheme)
    back = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (back > 0.5) == (scheme == "light")
    for part in ("body", ".meta", "main a", "caption", "figcaption"):
        text = luminance(page.evaluate("(s) => getComputedStyle(document.querySelector(s)).color", part))
        bright, dark = max(text, back), min(text, back)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, part


@pytest.mark.parametrize("name", PAGES)
def test_landmarks_headings_and_names_for_a_screen_reader(visit, name):
    page, _ = visit(name)
    page.evaluate(OPEN_ALL)
    for role in ("banner", "main", "contentinfo", "navigation"):
        assert page.get_by_role(role).count() == 1, role
    assert page.evaluate("document.documentElement.lang") == "en"
    levels = [int(tag[1]) for tag in page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => heading.tagName)"
    )]  # fmt: skip
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    unnamed = """[...document.querySelectorAll('[role=region], [role=img], img, button, select, nav, a')]
      .filter((part) => !(part.getAttribute('aria-label') || part.alt || part.textContent.trim()
                  || (part.labels && part.labels.length))).map((part) => part.outerHTML.slice(0, 80))"""
    assert page.evaluate(unnamed) == []
    assert page.evaluate("[...document.querySelectorAll('thead th:not([scope])')].length") == 0


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_everything_and_sees_where_it_is(visit, name):
    page, _ = visit(name)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    box = page.locator(".skip").bounding_box()
    assert box["x"] >= 0, "it is seen when it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        tag, width, style = page.evaluate(
            """(() => { const part = document.activeElement, style = getComputedStyle(part);
               return [part.matches('.sort') ? 'sort' : part.matches('.scroll') ? 'scroll' : part.tagName,
                       parseFloat(style.outlineWidth), style.outlineStyle]; })()"""
        )
        if tag == "BODY":  # past the last one
            break
        seen.add(tag)
        assert width > 0, tag
        assert style != "none", tag
    assert {"A", "sort", "scroll"} <= seen


def test_a_table_sorts_by_number_and_by_name_from_the_keyboard(visit):
    page, said = visit("studies/toy.html")
    table = page.get_by_role("region", name="table of datasets")
    names = "rows => rows.map((row) => row.cells[0].firstChild.textContent.trim())"
    numbers = "rows => rows.map((row) => parseFloat(row.cells[2].textContent.replace('\\u2212', '-')))"
    rows = table.locator("tbody tr")
    first = rows.evaluate_all(names)
    effect = table.locator("thead th").nth(2)
    effect.locator(".sort").focus()
    page.keyboard.press("Enter")
    up = rows.evaluate_all(numbers)
    assert up == sorted(up)
    assert effect.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert rows.evaluate_all(numbers) == sorted(up, reverse=True)
    assert effect.get_attribute("aria-sort") == "descending"
    table.locator("thead th").nth(0).locator(".sort").click()
    assert effect.get_attribute("aria-sort") is None
    by_name = rows.evaluate_all(names)
    assert by_name == sorted(by_name, key=str.lower) != first
    assert sorted(by_name) == sorted(first), "no row is lost"
    assert said() == []


def test_groups_of_rows_stay_together_when_a_table_is_sorted(visit):
    page, _ = visit("index.html")
    table = page.get_by_role("region", name="table of datasets")
    table.locator("thead th").nth(2).locator(".sort").click()
    heads = "bodies => bodies.map((body) => [body.rows[0].className, body.rows.length])"
    found = table.locator("tbody").evaluate_all(heads)
    assert [kind for kind, _ in found] == ["group"] * 3
    assert [size for _, size in found] == [14, 14, 3]


def test_examples_are_filtered_by_dataset_and_arm(visit):
    page, said = visit("studies/toy.html")
    shown = page.locator("#flipped > li:visible")
    every = shown.count()
    assert every > 10
    assert page.locator("form.filter [role=status]").inner_text() == f"{every} of {every} shown"
    page.locator("select[name=dataset]").select_option("gqa")
    assert 0 < shown.count() <= 2
    assert set(shown.evaluate_all("items => items.map((item) => item.dataset.dataset)")) == {"gqa"}
    page.locator("select[name=dataset]").select_option("")
    page.locator("select[name=arm]").select_option("twin")
    arms = shown.evaluate_all("items => items.map((item) => item.dataset.arms)")
    assert 0 < len(arms) < every
    assert all("twin" in names.split() for names in arms)
    assert said() == []


def test_the_pages_policy_stops_requests_and_scripts(visit):
    """Should a text of a dataset ever get out of its quotes, it runs nothing and tells nobody."""
    page, _ = visit("studies/toy.html")
    refused = """() => new Promise((resolve) => {
      document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
      fetch('http://127.0.0.1:9/').catch(() => {});
    })"""
    assert page.evaluate(refused) == "connect-src"
    page.evaluate(
        """() => { const script = document.createElement('script'); script.textContent = 'window.broken = 1';
                   document.body.append(script); }"""
    )
    assert page.evaluate("window.broken") is None
