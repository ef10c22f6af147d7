"""The status page in headless Chromium, and all that it must not do: log an error, ask another host, break its own policy."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from support.collector import environment
from support.deadline import SECONDS, eventually
from support.ports import free_port
from support.programs import COLLECTOR

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SMALL_PHONE = {"width": 320, "height": 568}
TABLET = {"width": 1024, "height": 768}
WALL = {"width": 2560, "height": 1440}

# Before any script of the page.
_WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
# What a browser does when its user looks at another tab.
_HIDE = """(isHidden) => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event('visibilitychange'));
}"""

_COVERED = """() => [...document.querySelectorAll('header .top > *, nav a, main h2, dl.tiles dd, tr.row td, tr.row th')].filter((node) => {
  const box = node.getBoundingClientRect();
  if (box.width === 0 || box.height === 0 || box.bottom > innerHeight || box.right > innerWidth) return false;
  const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return top && !node.contains(top) && !top.contains(node);
}).map((node) => node.textContent)"""


class Chromium:
    """One browser for the tests of a file."""

    def __enter__(self) -> "Chromium":
        self._playwright = sync_playwright().start()
        self.browser: Browser = self._playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        return self

    def __exit__(self, *_) -> None:
        self.browser.close()
        self._playwright.stop()

    def open(self, base: str, path: str = "", **options) -> "StatusPage":
        return StatusPage(self.browser, base, path, **options)


class StatusPage:
    def __init__(self, browser: Browser, base: str, path: str = "", viewport: dict = DESKTOP, scheme: str = "light", **options):
        self.base = base
        self._context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce", **options)
        self._context.set_default_timeout(SECONDS * 1000)
        self.page: Page = self._context.new_page()
        self._requests: list[str] = []
        self.problems: list[str] = []
        self._expected: list[str] = []
        self.page.add_init_script(_WATCH)
        self.page.on("request", lambda request: self._requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("console", lambda message: self.problems.append(f"{message.type}: {message.text}")
                     if message.type in ("error", "warning") else None)
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        self.page.goto(base + path)

    def expect(self, problem: str) -> None:
        """Problems that have this in them are none, whenever the browser tells of them."""
        self._expected.append(problem)

    def close(self) -> None:
        """Nothing must have gone wrong meanwhile."""
        self.problems += [f"policy: {violation}" for violation in self.page.evaluate("window.violations ?? []")]
        self.problems += [f"outside: {url}" for url in self._requests if not url.startswith((self.base, "data:"))]
        self._context.close()
        problems = [problem for problem in self.problems if not any(part in problem for part in self._expected)]
        assert problems == [], problems

    def requests(self, part: str = "") -> list[str]:
        """The addresses asked for so far that have this in them."""
        self.page.wait_for_timeout(1)  # Playwright tells of them only while it is waited for.
        return [url for url in self._requests if part in url]

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    def wait_for(self, selector: str):
        found = self.page.locator(selector).first
        found.wait_for()
        return found

    def rows(self) -> list[str]:
        """The names of the queues that are drawn, from the top."""
        return self.page.eval_on_selector_all("tr.row .name a", "(links) => links.map((link) => link.textContent)")

    def hide(self, is_hidden: bool) -> None:
        self.page.evaluate(_HIDE, is_hidden)

    def is_too_wide(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    def covered(self) -> list[str]:
        """Texts of the header, headings and numbers that something else lies on."""
        return self.page.evaluate(_COVERED)

    def axe(self) -> list[str]:
        """What a screen reader or its user would stumble over, by axe."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found]


class Demo:
    """`demo` with a status page."""

    def __init__(self, *flags: str):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/"
        self._temporary = Path(tempfile.mkdtemp(prefix="asynq-page-"))  # Short: it is in the path of a unix socket.
        self._log = open(self._temporary.with_suffix(".log"), "wb")
        self._process = subprocess.Popen(
            [str(COLLECTOR), "demo", "--metrics-listen", f"127.0.0.1:{self.port}", *flags], stdin=subprocess.DEVNULL,
            stdout=self._log, stderr=self._log, env=environment({"TMPDIR": str(self._temporary)}), start_new_session=True)

    def __enter__(self) -> "Demo":
        try:
            eventually("queues, waits and spans", self._is_full)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_full(self) -> bool:
        document = self.overview()
        return len(document["queues"]) > 2 and bool(document["slowest_waits"]) and document["spans"]["accepted"] > 0

    def overview(self) -> dict:
        return requests.get(self.base + "api/v1/overview", timeout=SECONDS).json()

    def __exit__(self, *_) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(SECONDS)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._log.close()
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary.with_suffix(".log").unlink()


class PrefixProxy(ThreadingHTTPServer):
    """Serves what lies at `target` below `/some/prefix/`, as an ingress does."""
    daemon_threads = True
    PREFIX = "/some/prefix"

    def __init__(self, target: str):
        super().__init__(("127.0.0.1", 0), _PrefixHandler)
        self.target = target
        self.statuses: list[int] = []
        self.base = f"http://127.0.0.1:{self.server_port}{self.PREFIX}/"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_) -> None:
        self.shutdown()
        self.server_close()


class _PrefixHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.startswith(self.server.PREFIX + "/"):
            self.send_error(404)
            return
        kept = {name: self.headers[name] for name in ("If-None-Match",) if name in self.headers}
        answer = requests.get(self.server.target + self.path[len(self.server.PREFIX) + 1:], headers=kept, timeout=SECONDS)
        self.server.statuses.append(answer.status_code)
        self.send_response(answer.status_code)
        for name in ("Content-Type", "ETag", "Content-Security-Policy"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)
