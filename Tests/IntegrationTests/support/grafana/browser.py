"""Headless Chromium with a dashboard in it, and what its panels show: texts and colours, of the DOM and of canvases."""

import json
import math
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from support.grafana.api import GrafanaAPI

HEIGHT_PIXELS = 1080
# What two screens have in common: more than the bar of variables, which stays above the panels and covers them.
OVERLAP_PIXELS = 280
LOAD_SECONDS = 300
STILL_SECONDS = 240
QUIET_SECONDS = 1.0
SCREENS_MAX = 20
# The variable of the trace that is looked at.
TRACE_VARIABLE = "traceId"
PANELS = 'section[data-testid^="data-testid Panel header"]'

# The menu is folded in, as a visitor may have it; otherwise it takes 250 pixels of the width.
FOLD_MENU = "localStorage.setItem('grafana.navigation.docked', 'false');"
# Keeps the texts that are drawn on a canvas since it was cleared last: with their colours, and whether the left edge cuts them.
RECORD_TEXTS = """
const context = CanvasRenderingContext2D.prototype;
const [fillText, clearRect] = [context.fillText, context.clearRect];
context.fillText = function (text, x, y, ...rest) {
    const width = this.measureText(text).width, way = this.getTransform();
    const before = {right: width, end: width, center: width / 2}[this.textAlign] || 0;
    const left = (x - before) * way.a + way.e;
    const isCut = way.b === 0 && left < -2;
    (this.canvas.drawnTexts ??= []).push([String(text), String(this.fillStyle), isCut]);
    return fillText.call(this, text, x, y, ...rest);
};
context.clearRect = function (x, y, width, height) {
    if (width >= this.canvas.width && height >= this.canvas.height) this.canvas.drawnTexts = [];
    return clearRect.call(this, x, y, width, height);
};
"""

# The element that scrolls is the page in newer front ends, and one inside it in older ones.
SCROLLER = """
(() => {
    for (let one = document.querySelector('section').parentElement; one && one !== document.body; one = one.parentElement)
        if (one.scrollHeight > one.clientHeight + 8 && /auto|scroll/.test(getComputedStyle(one).overflowY)) return one;
    return document.scrollingElement;
})()
"""

STATE = """
() => {
    const title = one => one.closest('section')?.dataset.testid.replace(/^data-testid Panel header ?/, '');
    return {
        loading: [...document.querySelectorAll('[aria-label="Panel loading bar"]')].map(title),
        text: [...document.querySelectorAll('section')].map(section => section.textContent).join(),
    };
}
"""

READ_PANELS = """
sections => sections.map(section => {
    const shape = section.getBoundingClientRect();
    if (shape.bottom < 0 || shape.top > innerHeight) return null;
    const drawn = [...section.querySelectorAll('canvas')].filter(canvas => canvas.width && canvas.height).map(canvas => {
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        const counts = new Map();
        for (let at = 0; at < pixels.length; at += 4) {
            if (pixels[at + 3] < 8) continue;
            const key = (pixels[at] << 24 | pixels[at + 1] << 16 | pixels[at + 2] << 8 | pixels[at + 3]) >>> 0;
            counts.set(key, (counts.get(key) || 0) + 1);
        }
        const colours = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 40)
            .map(([key, count]) => [key >>> 24, key >>> 16 & 255, key >>> 8 & 255, key & 255, count]);
        return {texts: canvas.drawnTexts || [], colours, pixels: canvas.width * canvas.height};
    });
    const words = [], cut = [], below = [];
    const fill = one => {
        for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if (!/^rgba\\(.*, 0(\\.[0-4]\\d*)?\\)$/.test(colour)) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const range = document.createRange();
    const walk = document.createTreeWalker(section, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const text = walk.currentNode.textContent.trim();
        const style = text && getComputedStyle(walk.currentNode.parentElement);
        if (!text || style.visibility === 'hidden') continue;
        words.push([text, style.color, fill(walk.currentNode.parentElement), parseFloat(style.fontSize)]);
        range.selectNodeContents(walk.currentNode);
        const place = range.getBoundingClientRect();
        for (let one = walk.currentNode.parentElement; one !== section; one = one.parentElement) {
            const limits = one.getBoundingClientRect(), look = getComputedStyle(one);
            const hides = look.overflowX !== 'visible';
            const isShortened = look.textOverflow === 'ellipsis' && look.whiteSpace === 'nowrap' && one.scrollWidth > one.clientWidth + 1;
            const row = walk.currentNode.parentElement.closest('tr');
            const isNumbered = row && [...row.cells].slice(1).some(cell => /[1-9]/.test(cell.textContent));
            if (isNumbered && look.overflowY !== 'visible' && place.bottom > limits.bottom + 2) below.push(text);
            if (isShortened || hides && (place.left < limits.left - 2 || place.right > limits.right + 2)) {
                cut.push(text);
                break;
            }
        }
    }
    const holder = section.closest('[data-viz-panel-key]');
    return {
        key: holder ? holder.dataset.vizPanelKey : '',
        title: section.dataset.testid.replace(/^data-testid Panel header ?/, ''),
        error: !!section.querySelector('[data-testid="data-testid Panel status error"]'),
        box: [shape.x, shape.y + SCROLLER.scrollTop, shape.width, shape.height], words, cut, below, drawn,
        links: [...section.querySelectorAll('a[href]')].map(one => one.getAttribute('href')),
    };
}).filter(panel => panel)
""".replace("SCROLLER", SCROLLER.strip())

# What was chosen or written in a variable and has no room there.
CUT_BOXES = """
() => [...document.querySelectorAll('[data-testid="data-testid template variable"] *')]
    .filter(one => getComputedStyle(one).overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1)
    .map(one => one.value || one.textContent).filter(text => text)
"""


@dataclass
class ShownPanel:
    key: str
    title: str
    error: bool
    box: list[float]
    words: list[list]  # text, its colour, the colour behind it, its size in pixels
    cut: list[str]  # those of them that do not fit in their place
    drawn: list[dict]  # of each canvas: texts with their colours and whether they are cut, colours with their pixels
    links: list[str] = field(default_factory=list)  # where they lead
    below: list[str] = field(default_factory=list)  # texts of rows that are to be scrolled to, and are not all 0

    @property
    def texts(self) -> list[str]:
        return [word[0] for word in self.words] + [text for canvas in self.drawn for text, *_ in canvas["texts"]]


@dataclass
class ShownDashboard:
    panels: list[ShownPanel]
    bar_lines: int
    problems: list[str] = field(default_factory=list)

    @property
    def bottom(self) -> float:
        return max((panel.box[1] + panel.box[3] for panel in self.panels), default=0)


class Browser:
    """One Chromium, which sees this machine only. It is closed by `with`."""

    def __init__(self, api: GrafanaAPI, program: str):
        self._api = api
        self._program = program

    def __enter__(self) -> "Browser":
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(
            executable_path=self._program,
            args=["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"])
        return self

    def __exit__(self, *_) -> None:
        self._chromium.close()
        self._playwright.stop()

    def show(self, dashboard: dict, *, theme: str, width: int, since: float, variables: dict[str, str],
             pictures: Path) -> ShownDashboard:
        """Opens the dashboard, scrolls through it, reads each panel where it is seen, and takes a picture of each screen:
        `pictures`, with the number of the screen before its suffix."""
        page = self._chromium.new_page(viewport={"width": width, "height": HEIGHT_PIXELS}, reduced_motion="reduce")
        problems: list[str] = []
        page.add_init_script(FOLD_MENU + RECORD_TEXTS)
        page.on("pageerror", lambda error: problems.append(f"script: {str(error)[:200]}"))
        page.on("response", lambda answer: problems.append(f"{answer.status} {answer.url[:160]}") if answer.status >= 400 else None)
        try:
            self._api.show(dashboard)
            # As a visitor has it, "Last 5 minutes": dates would take the room of two variables.
            minutes = math.ceil((time.time() - since) / 60)
            chosen = "".join(f"&var-{name}={value}" for name, value in variables.items())
            page.goto(f"{self._api.url}/d/{dashboard['uid']}?theme={theme}&from=now-{minutes}m&to=now{chosen}",
                      wait_until="domcontentloaded", timeout=LOAD_SECONDS * 1000)
            try:
                page.wait_for_selector(PANELS, timeout=LOAD_SECONDS * 1000)
            except PlaywrightTimeout:
                return ShownDashboard([], 0, problems + [f"no panel within {LOAD_SECONDS} s"])
            if any(one["name"] == TRACE_VARIABLE for one in dashboard["templating"]["list"]):
                self._open_a_trace(page, problems)
            problems += [f"the box of a variable shows a part of {text}" for text in page.evaluate(CUT_BOXES)]
            return ShownDashboard(self._read(page, pictures, problems), _bar_lines(page, dashboard), problems)
        finally:
            page.close()

    def import_problems(self, file: Path) -> list[str]:
        """Imports a dashboard's file as a visitor does: nothing is to be asked for, and what is saved is what the file says."""
        page = self._chromium.new_page(viewport={"width": 1440, "height": HEIGHT_PIXELS})
        milliseconds = LOAD_SECONDS * 1000
        try:
            page.goto(f"{self._api.url}/dashboard/import", wait_until="domcontentloaded", timeout=milliseconds)
            page.set_input_files("input[type=file]", file, timeout=milliseconds)
            page.click('[data-testid="data-testid-import-dashboard-submit"]', timeout=milliseconds)
            page.wait_for_selector(PANELS, timeout=milliseconds)
        except PlaywrightTimeout as error:
            return [f"import of {file.name}: {str(error).splitlines()[0]}"]
        finally:
            page.close()
        posted = self._api.imported
        problems = ["asks for inputs"] if posted["inputs"] else []
        problems += [] if posted["dashboard"] == json.loads(file.read_text(encoding="utf-8")) else ["is not saved as the file says"]
        return [f"import of {file.name}: {problem}" for problem in problems]

    def _read(self, page: Page, pictures: Path, problems: list[str]) -> list[ShownPanel]:
        found: dict[str, ShownPanel] = {}
        for screen in range(1, SCREENS_MAX + 1):
            self._until_still(page, problems, f"screen {screen}")
            for panel in page.eval_on_selector_all(PANELS, READ_PANELS):
                found[panel["key"] or panel["title"]] = ShownPanel(**panel)
            page.screenshot(path=pictures.with_suffix(f".{screen}{pictures.suffix}"), animations="disabled",
                            timeout=LOAD_SECONDS * 1000)
            if not _scroll(page):
                break
        return list(found.values())

    def _open_a_trace(self, page: Page, problems: list[str]) -> None:
        """As a visitor does: a click on the first attempt that the page has, and back to its top."""
        link = page.locator(f'a[href*="var-{TRACE_VARIABLE}="]')
        self._until_still(page, problems, "before a trace")
        while not link.count() and _scroll(page):
            self._until_still(page, problems, "before a trace")
        if link.count():
            link.first.click(timeout=LOAD_SECONDS * 1000)
            page.wait_for_url(re.compile(rf"var-{TRACE_VARIABLE}=\w"), timeout=LOAD_SECONDS * 1000)
            page.mouse.move(0, 0)
        page.evaluate(f"() => {{ {SCROLLER}.scrollTop = 0; }}")

    def _until_still(self, page: Page, problems: list[str], where: str) -> None:
        """No query runs, no panel is loading or still to come, and the texts stay as they are."""
        deadline = time.monotonic() + STILL_SECONDS
        before: list = []
        while time.monotonic() < deadline:
            page.wait_for_timeout(400)
            now = [page.evaluate(STATE)]
            if now == before and not now[0]["loading"] and self._api.quiet_seconds() > QUIET_SECONDS:
                return
            before = now
        problems.append(f"{where}: not still after {STILL_SECONDS} s; loading: {before[0]['loading']}")


def _scroll(page: Page) -> bool:
    """A screen down, if there is more. For a moment the page may be without panels."""
    page.wait_for_selector(PANELS, state="attached", timeout=LOAD_SECONDS * 1000)
    return page.evaluate(f"() => {{ const one = {SCROLLER}, before = one.scrollTop; one.scrollTop += {HEIGHT_PIXELS - OVERLAP_PIXELS};"
                         " return one.scrollTop > before; }")


def _bar_lines(page: Page, dashboard: dict) -> int:
    """How many lines the variables and the links to other dashboards take."""
    tops = page.eval_on_selector_all('[data-testid="data-testid template variable"], button', """
        (all, titles) => all.filter(one => one.tagName !== 'BUTTON' || titles.includes(one.textContent.trim()))
            .map(one => Math.round(one.getBoundingClientRect().y / 20))""", [link["title"] for link in dashboard["links"]])
    return len(set(tops))
