"""wambench view in a real browser, at a desk and on a phone: one filters, looks, plays, compares.

Needs Debian's Chromium on the path; nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import whole_run
from tests.conftest import tree
from tests.running import COMMAND
from wambench.store import STORE_NAME, Store
from wambench.suite import Suite

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SIZES = {"desktop": (1200, 900), "phone": (360, 740)}
PATIENCE_MS = 300_000  # other work may have the cores
DRAWN = "figure img[alt*='at step {}, camera {}']"

# Presses the space bar as soon as a picture of a control step of at least 3 is shown. The page does
# it itself: an order from outside may come when a busy machine has long played on.
PAUSE = """() => new Promise((done) => {
  const look = () => {
    const step = document.querySelector('figure img')?.alt.match(/at step (\\d+),/)?.[1];
    if (!(step >= 3)) return setTimeout(look, 5);
    document.body.dispatchEvent(new KeyboardEvent('keydown', {key: ' ', bubbles: true}));
    done();
  };
  look();
})"""

# What is wrong with what is on the screen, as a browser computed it: controls without a name,
# text without contrast (4.5 to 1), targets under 24 px, what sticks out of the window.
CHECK = """() => {
  const faults = [];
  const seen = (node) => node.checkVisibility() && node.getClientRects().length;
  const said = (node) => `${node.tagName}#${node.id} ${node.textContent.trim().slice(0, 30)}`;
  const controls = 'a, button, input:not([type=hidden]), select, [tabindex]';
  for (const node of document.querySelectorAll(controls)) {
    if (!seen(node)) continue;
    const name = node.getAttribute('aria-label') || node.textContent.trim()
      || [...(node.labels || [])].map(one => one.textContent.trim()).join('');
    const labelled = node.matches('input, select') ? node.labels.length || node.ariaLabel : name;
    if (!labelled) faults.push(`no name: ${said(node)}`);
    const box = node.getBoundingClientRect();
    if (node.matches('button, select, input') && Math.min(box.width, box.height) < 24)
      faults.push(`too small: ${said(node)}`);
  }
  for (const image of document.images) if (!image.alt) faults.push('a picture without words');
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92
    : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some(one => one.nodeType === 3 && one.data.trim());
    if (!own || !seen(node) || node.matches('script, option, noscript')) continue;
    const pair = [light(channels(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) faults.push(`${ratio.toFixed(2)} to 1: ${said(node)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth)
    faults.push(`${document.documentElement.scrollWidth} px wide in ${innerWidth}`);
  if (!document.documentElement.lang) faults.push('no language');
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
  return faults;
}"""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the command serves a folder; nothing in it may be written."""
    before = tree(folder)
    server = subprocess.Popen(
        [*COMMAND, "view", str(folder), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+/", server.stdout.readline())
        assert found is not None
        yield found[0]
        server.terminate()
        assert server.wait(timeout=60) == 0
    finally:
        server.kill()
    assert tree(folder) == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of the toy suite, and a folder that is no run."""
    whole_run.make(tmp_path / "all" / "whole")
    (tmp_path / "all" / "broken").mkdir()
    (tmp_path / "all" / "broken" / STORE_NAME).write_text("no database")
    return tmp_path / "all"


@pytest.fixture
def address(folder: Path, toy: Suite) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on the path; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def watched(browser: Browser, size: str) -> Iterator[Page]:
    """A window; nothing may be complained about in its console."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(PATIENCE_MS)
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture(params=SIZES)
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    with watched(browser, request.param) as page:
        yield page


def faults(browser: Browser, page: Page) -> list[str]:
    """Of the page as it is, by day and by night.

    In a window of its own, since the page's policy forbids what is not the page's own script.
    """
    found: list[Any] = []
    size = page.viewport_size
    assert size is not None
    for scheme in ("light", "dark"):
        context = browser.new_context(bypass_csp=True, viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        other = context.new_page()
        other.goto(page.url)
        if other.locator("#viewer").count():
            expect(other.locator("figure img[alt='']")).to_have_count(0, timeout=PATIENCE_MS)
            expect(other.locator("#status")).to_have_text("", timeout=PATIENCE_MS)
        found += [f"{scheme}: {one}" for one in other.evaluate(CHECK)]
        other.locator("#keys-open").click()
        found += [f"{scheme}, keys: {one}" for one in other.evaluate(CHECK)]
        context.close()
    return found


def shown(page: Page, step: int, camera: str = "agentview", figures: int = 1) -> None:
    """Wait until every figure shows this step."""
    expect(page.locator(DRAWN.format(step, camera))).to_have_count(figures, timeout=PATIENCE_MS)


def asked(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_from_the_list_to_two_policies_in_step(
    browser: Browser, page: Page, address: str, folder: Path
) -> None:
    with Store.read(folder / "whole", leave_nothing=True) as store:
        cells = {stored.cell.place: stored for stored in store.cells()}
    failed = next(
        stored for place, stored in cells.items()
        if place[:2] == ("third <&>", "toy") and stored.outcome == "failure" and stored.steps > 3
    )  # fmt: skip
    rival = cells["learned", *failed.cell.place[1:]]
    assert failed.steps is not None and rival.steps is not None

    page.goto(address)
    expect(page.locator(".notice li")).to_have_count(1)
    expect(page.locator(".episodes tbody th a")).to_have_count(50)
    assert faults(browser, page) == []

    task = f"toy/{failed.cell.task_index}"
    page.locator("#policy").select_option("third <&>")
    page.locator("#task").select_option(task)
    page.locator("#outcome").select_option("failure")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".chosen a")).to_have_count(3)
    assert asked(page) == {"policy": "third <&>", "task": task, "outcome": "failure"}
    page.go_back()
    page.go_forward()
    assert page.locator("#policy").input_value() == "third <&>"

    page.locator(f".episodes a[href*='{failed.cell.key}']").click()
    shown(page, 0)
    first = page.locator("figure img").screenshot()
    page.keyboard.press("ArrowRight")
    shown(page, 1)
    assert page.locator("figure img").screenshot() != first
    page.keyboard.press("End")
    shown(page, failed.steps)
    page.keyboard.press("Home")
    shown(page, 0)
    page.keyboard.press("Shift+ArrowRight")
    shown(page, min(10, failed.steps))
    page.get_by_label("Control step").fill("2")
    shown(page, 2)
    expect(page).to_have_url(re.compile("step=2&"))
    page.reload()
    shown(page, 2)  # the address is the moment's
    page.get_by_role("button", name="One step forward").click()
    shown(page, 3)
    go = page.locator(".go")
    go.click()
    moment = int(go.inner_text().split()[-1])
    shown(page, moment)

    page.get_by_label("Beside it").select_option(f"{rival.cell.key}@whole")
    page.get_by_role("button", name="Compare").click()
    shown(page, moment, figures=2)
    both = max(failed.steps, rival.steps)
    page.keyboard.press("End")
    for number, stored in enumerate((failed, rival), start=1):
        last = f"figure:nth-child({number}) img[alt*='at step {stored.steps},']"
        expect(page.locator(last)).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator("#at")).to_have_text(re.compile(f"^{both} of {both} "))
    page.get_by_label("Control step").fill("1")
    shown(page, 1, figures=2)
    one, two = (figure.bounding_box() for figure in page.locator("figure").all())
    assert one is not None and two is not None
    assert one["y"] == two["y"] and one["x"] < two["x"], "side by side"
    expect(page).to_have_url(re.compile("step=1&"))
    assert {"beside", "policy", "task", "step", "camera"} <= set(asked(page))
    assert faults(browser, page) == []
    for key in ("n", "p"):
        if page.locator("#after" if key == "n" else "#before").count():
            page.keyboard.press(key)
            page.wait_for_url(lambda url: "beside" not in url)
            shown(page, 0)


def test_it_plays_and_stops(page: Page, address: str, folder: Path) -> None:
    with Store.read(folder / "whole", leave_nothing=True) as store:
        long = max(
            (stored for stored in store.cells() if stored.cell.suite == "toy"),
            key=lambda stored: stored.steps or 0,
        )
    last = long.steps or 0
    page.goto(f"{address}episode?of=whole&key={long.cell.key}")
    shown(page, 0)
    page.keyboard.press(" ")
    page.evaluate(PAUSE)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    at = page.locator("#at").inner_text()
    assert 3 <= int(at.split()[0]) < last
    page.wait_for_timeout(1000)
    assert page.locator("#at").inner_text() == at
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("ArrowRight")  # the keys' own window has them now
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    assert page.locator("#at").inner_text() == at
    page.get_by_label("Control step").fill(str(last - 2))
    page.get_by_role("button", name="Play", exact=True).click()
    shown(page, last)
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_real_episodes(browser: Browser, small_run: Path, tmp_path: Path) -> None:
    """LIBERO's frames, a failure explained, and two policies beside each other."""
    (tmp_path / "all" / "small").mkdir(parents=True)
    shutil.copy(small_run / STORE_NAME, tmp_path / "all" / "small" / STORE_NAME)
    with served(tmp_path / "all") as address, watched(browser, "desktop") as page:
        page.goto(f"{address}?policy=random")
        began = time.monotonic()
        page.locator(".episodes tbody th a").last.click()  # of a task that was not opened meanwhile
        shown(page, 0)
        # 5 s on two free cores; others may be at work here.
        assert time.monotonic() - began < 60
        page.get_by_label("Camera").select_option("wrist")
        shown(page, 0, "wrist")
        page.get_by_role("button", name="Explain now").click()
        expect(page.locator(".go")).to_be_visible(timeout=PATIENCE_MS)
        page.get_by_label("Beside it").select_option(label="expert: success")
        page.get_by_role("button", name="Compare").click()
        shown(page, 0, "wrist", figures=2)  # the new page, not the one that is being left
        page.get_by_label("Control step").fill("60")
        shown(page, 60, "wrist", figures=2)
        one, two = (image.screenshot() for image in page.locator("figure img").all())
        assert one != two
