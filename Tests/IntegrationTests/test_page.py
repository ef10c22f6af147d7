"""The status page as people see it, with the demo's queues and spans: live, sorted, filtered, by keyboard and screen reader."""

import gzip
import re
from datetime import datetime, timezone

import pytest
import requests

from support.deadline import eventually
from support.status_page import DESKTOP, PHONE, SMALL_PHONE, TABLET, WALL, Chromium, Demo, PrefixProxy

PAGE_GZIPPED_BYTES_MAX = 60_000
VIEWS = ["", "#/errors", "#/servers", "#/cron", "#/spans", "#/task"]


@pytest.fixture(scope="module")
def demo():
    with Demo("--tasks-per-second", "60") as demo:
        yield demo


@pytest.fixture
def opened(chromium, demo):
    """Opens a page of the demo; it must not have had a problem by the end of the test."""
    pages = []

    def open_page(path: str = "", ready: str = "tr.row", base: str = demo.base, **options):
        pages.append(page := chromium.open(base, path, **options))
        page.wait_for(ready)
        return page

    yield open_page
    for page in pages:
        page.close()


def test_says_which_collector_it_is_and_shows_every_queue_once(opened, demo):
    page = opened()
    document = demo.overview()
    header = page.text("header")
    for part in (document["collector"]["host"], document["collector"]["version"], "up ", "Redis", "Tempo"):
        assert part in header
    assert sorted(page.rows()) == sorted(queue["queue"] for queue in document["queues"])
    assert document["collector"]["host"] in page.page.title()
    assert "icon" in page.page.locator("link[rel=icon]").get_attribute("href")


def test_renews_itself_without_loading_again_and_leaves_selection_and_focus(opened):
    page = opened("#/?sort=queue")  # by trouble, a row moves when the demo's story goes on, and a browser deselects what is moved
    page.page.evaluate("window.mark = 1; getSelection().selectAllChildren(document.querySelector('tr.row .name a'))")
    selected = page.page.evaluate("getSelection().toString()")
    page.page.locator("tr.row .name a").first.focus()
    focused = page.page.evaluate("document.activeElement.textContent")
    totals = page.text("dl.tiles")
    eventually("other totals", lambda: page.text("dl.tiles") != totals)
    eventually("three documents", lambda: len(page.requests("/api/v1/overview")) >= 3)
    assert page.page.evaluate("window.mark") == 1
    assert selected and page.page.evaluate("getSelection().toString()") == selected
    assert page.page.evaluate("document.activeElement.textContent") == focused
    assert "updated" in page.text(".live")
    # The hour was asked for once; since then only what is new.
    assert [url for url in page.requests("/api/v1/overview")[1:] if "since=" not in url] == []


def test_asks_nothing_in_a_hidden_tab(opened):
    page = opened()
    page.hide(True)
    page.page.wait_for_timeout(300)
    asked = len(page.requests())
    page.page.wait_for_timeout(3000)
    assert len(page.requests()) == asked
    page.hide(False)
    eventually("it asks again", lambda: len(page.requests()) > asked)


def test_sorts_by_any_column_and_keeps_the_choice_in_the_address(opened):
    page = opened()
    names = page.rows()
    # By trouble at first: those in trouble in the order of the list above, then the others by name.
    calm = page.page.eval_on_selector_all(
        "tr.row:not(.critical, .warning, .info) .name a", "(links) => links.map((link) => link.textContent)")
    assert names[len(names) - len(calm):] == sorted(calm, key=str.lower)
    page.page.get_by_role("columnheader", name="Queue").get_by_role("button").click()
    assert page.rows() == sorted(names, key=str.lower)
    assert page.page.locator("th[aria-sort=ascending]").count() == 1
    page.page.get_by_role("columnheader", name="Queue").get_by_role("button").click()
    assert page.rows() == sorted(names, key=str.lower, reverse=True)
    assert page.page.url.endswith("#/?sort=-queue")
    page.page.reload()
    page.wait_for("tr.row")
    assert page.rows() == sorted(names, key=str.lower, reverse=True)
    for order in page.page.eval_on_selector_all("#sort option", "(options) => options.map((option) => option.value)"):
        page.page.select_option("#sort", order)
        assert sorted(page.rows()) == sorted(names)


def test_filters_by_name_and_leads_back_to_the_same_list(opened):
    page = opened()
    name = page.rows()[-1]
    page.page.keyboard.press("/")
    page.page.keyboard.type(name.upper())
    assert page.rows() == [name]
    assert page.text(".shown").startswith("1 of ")
    page.page.locator("tr.row .name a").first.click()
    page.wait_for(".charts")
    page.page.locator("a.back").click()
    page.wait_for("tr.row")
    assert page.rows() == [name]
    page.page.locator("#filter").focus()
    page.page.keyboard.press("Escape")
    assert len(page.rows()) > 1


def test_a_queue_opens_by_keyboard_with_charts_that_speak(opened):
    page = opened()
    name = page.rows()[0]
    page.page.locator("tr.row .name a").first.focus()
    page.page.keyboard.press("Enter")
    page.wait_for(".charts .plot")
    assert page.text("h1") == name
    charts = page.page.locator("figure.chart")
    assert charts.locator(".title").all_inner_texts() == [
        "Backlog by statetasks", "Arrivals and completionstasks per second", "Wait before the task runsof recent tasks",
        "Failuresper second"]
    plot = charts.first.locator(".plot")
    eventually("points", lambda: int(plot.get_attribute("aria-valuemax")) >= 1)
    assert charts.first.locator(".tick text").count() >= 4
    plot.focus()
    page.page.keyboard.press("Home")
    first = plot.get_attribute("aria-valuetext")
    assert "pending" in first and plot.locator(".tip").count() == 1
    page.page.keyboard.press("ArrowRight")
    assert plot.get_attribute("aria-valuetext") != first
    page.page.keyboard.press("Escape")
    assert plot.locator(".tip").count() == 0
    charts.first.locator("summary").click()
    assert charts.first.locator("tbody tr").count() >= 2
    for title in ("Errors", "Task types", "Dead letters", "Retries due next", "Slowest waits", "Served by"):
        assert page.page.get_by_role("heading", name=title).count() == 1


def test_a_queue_that_is_not_there_says_so(opened):
    page = opened("#/queue/no%20such%20queue", ready=".opened .empty")
    eventually("the reason", lambda: "no queue of this name" in page.text(".opened .empty"))
    page.expect("404")  # Chromium's own line about the answer.


def test_a_slow_wait_leads_to_its_trace(opened):
    page = opened("#/errors", ready="table.cards")
    link = page.page.locator("section[aria-label='Slowest waits'] a[href*='trace/']").first
    link.wait_for()
    link.click()
    page.wait_for(".waterfall li")
    assert "/trace/" in page.page.url
    span = page.page.locator(".waterfall button.span").first
    span.focus()
    page.page.keyboard.press("Enter")
    page.wait_for(".waterfall button.span[aria-expanded='true']")
    assert page.page.locator(".attributes dt").count() >= 1
    assert page.axe() == []


def test_an_error_leads_to_its_trace_which_says_why_at_once(opened):
    page = opened("#/errors", ready="ul.errors li")
    page.page.locator("ul.errors li .what > .sub a[href*='trace/']").first.click()
    details = page.wait_for(".waterfall li.critical .details")
    assert "Attributes" in details.inner_text() and page.page.locator(".waterfall .details").count() == 1
    # The other views are one click away.
    page.page.locator("nav a", has_text="Servers").click()
    page.wait_for("section[aria-label=Servers]")


def test_the_link_to_the_view_is_in_sight_on_a_phone(opened):
    page = opened("#/task", ready="#task-id", viewport=PHONE)
    link = page.page.locator("nav a[aria-current]")
    eventually("the link", lambda: link.evaluate("(link) => { const box = link.getBoundingClientRect(); "
                                                 "return box.left >= 0 && box.right <= innerWidth; }"))


def test_a_task_says_when_it_was_read_and_is_read_again(opened, demo):
    letter = eventually("a dead letter", lambda: (demo.overview()["dead_letters"] or [None])[0])
    page = opened(f"#/task/{letter['queue']}/{letter['id']}", ready=".found")
    assert "Read from Redis" in page.text("[role=status]")
    asked = len(page.requests(f"/{letter['id']}"))
    page.page.get_by_role("button", name="Look again").click()
    eventually("it asks again", lambda: len(page.requests(f"/{letter['id']}")) > asked)
    page.wait_for(".found")
    page.expect("429")  # What came too soon is asked again.


def test_finds_a_task_by_its_id(opened, demo):
    def dead():
        letters = demo.overview()["dead_letters"]
        return letters and letters[0]

    letter = eventually("a dead letter", dead)
    page = opened("#/task", ready="#task-id")
    page.page.fill("#task-id", letter["id"])
    page.page.keyboard.press("Enter")
    page.wait_for(".found")
    assert "archived" in page.text(".found") and letter["error"] in page.text(".found")
    page.page.fill("#task-id", "no-such-task")
    page.page.keyboard.press("Enter")
    eventually("no such task", lambda: "no such task" in page.text("main"))
    # The browser tells of each: there is no such task, and a question that came too soon after others was asked again.
    page.expect("404")
    page.expect("429")


@pytest.mark.parametrize("viewport, scheme", [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop-dark", "phone-light"])
def test_every_view_is_accessible_and_fits(opened, viewport, scheme):
    page = opened(viewport=viewport, scheme=scheme, bypass_csp=True)
    name = page.rows()[0]
    for view in VIEWS + [f"#/queue/{name}"]:
        page.page.goto(page.base + (view or "#/"))
        page.wait_for("main .panel, main table")
        assert page.axe() == [], view
        assert not page.is_too_wide(), view


def test_every_view_fits_on_the_smallest_phone(opened):
    page = opened(viewport=SMALL_PHONE)
    name = page.rows()[0]
    for view in VIEWS + [f"#/queue/{name}"]:
        page.page.goto(page.base + (view or "#/"))
        page.wait_for("main .panel, main table")
        assert not page.is_too_wide(), view
        assert page.page.evaluate("[...document.querySelectorAll('.tile')].every((tile) => tile.getBoundingClientRect().right <= innerWidth)")


def test_printed_it_has_the_queues_and_no_controls(opened):
    page = opened()
    page.page.emulate_media(media="print")
    assert not page.page.locator("nav, #filter, #sort").filter(visible=True).all()
    assert page.page.locator("tr.row").first.is_visible() and page.page.locator(".shown").is_visible()


@pytest.mark.parametrize("viewport", [TABLET, WALL], ids=["1024", "2560"])
def test_every_view_fits_between_phone_and_wall(opened, viewport):
    page = opened(viewport=viewport)
    name = page.rows()[0]
    for view in VIEWS + [f"#/queue/{name}"]:
        page.page.goto(page.base + (view or "#/"))
        page.wait_for("main .panel, main table")
        assert not page.is_too_wide(), view
        assert page.covered() == [], view
    page.page.goto(page.base + "#/")
    page.wait_for("tr.row")
    # A table still, with every column that a sentence speaks of.
    for column in ("queue", "states", "oldest", "p95", "in", "out", "failed", "drain"):
        assert page.page.locator(f"tr.row .{column}").first.is_visible(), column


def test_the_header_has_the_addresses_of_redis_and_of_the_trace_backend(opened, demo):
    collector = demo.overview()["collector"]
    page = opened()
    assert page.page.locator("header .ends bdi").all_inner_texts() == [collector["redis"], collector["tempo"]]
    assert all(page.page.locator("header .ends bdi").nth(number).is_visible() for number in range(2))


def test_the_view_of_errors_has_every_group(opened, demo):
    groups = eventually("errors", lambda: requests.get(demo.base + "api/v1/errors", timeout=40).json())
    page = opened("#/errors", ready="ul.errors li")
    eventually("it asks for all", lambda: page.requests("/api/v1/errors"))
    eventually("all groups", lambda: page.page.locator("section[aria-label=Errors] ul.errors > li").count() >= len(groups))
    page.page.goto(page.base + "#/")
    page.wait_for("tr.row")
    asked = len(page.requests("/api/v1/errors"))
    page.page.wait_for_timeout(2500)
    assert len(page.requests("/api/v1/errors")) <= asked + 1


def test_spans_of_time_are_no_longer_than_the_collector_has_run(opened, demo):
    page = opened("#/errors", ready="section[aria-label='Slowest waits']")
    note = page.text("section[aria-label='Slowest waits'] h2 small")
    started = demo.overview()["collector"]["started_at"]
    seconds = (datetime.now(timezone.utc) - datetime.fromisoformat(started)).total_seconds()
    number, unit = re.fullmatch(r"last (\d+) (s|min)", note).groups()
    assert int(number) * (60 if unit == "min" else 1) <= min(seconds + 30, 900)


def test_the_first_tab_stop_skips_to_the_content(opened):
    page = opened()
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.id") == "skip"
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("document.activeElement.id") == "main"


def test_works_behind_a_path_prefix(opened, demo):
    with PrefixProxy(demo.base) as proxy:
        page = opened(base=proxy.base)
        page.page.locator("tr.row .name a").first.click()
        page.wait_for(".charts .plot")
        page.page.goto(page.base + "#/errors")
        page.page.locator("section[aria-label='Slowest waits'] a[href*='/some/prefix/trace/']").first.click()
        page.wait_for(".waterfall li")


def test_without_script_it_is_a_table_of_the_same_queues(chromium, demo):
    page = chromium.open(demo.base, java_script_enabled=False)
    text = page.page.locator("body").inner_text()
    missing = [queue["queue"] for queue in demo.overview()["queues"] if queue["queue"] not in text]
    assert missing == []
    assert page.page.locator("table").count() >= 1
    links = page.page.locator("section:has(> h2:text-is('Queues')) tbody th a")
    assert links.count() == len(demo.overview()["queues"])
    assert requests.get(page.base + links.first.get_attribute("href")).json()["queue"] == links.first.inner_text()


MERGE = """async (address) => {
  const { History } = await import(address);
  const history = new History();
  const seen = [];
  const merge = (start, step, values) => {
    history.merge({ start, end: start + step * values.length, step, points: values.length }, [{ queue: 'q', history: { pending: values } }]);
    seen.push([history.start, history.since, history.column('q', 'pending')]);
  };
  merge(100, 10, [1, 2, 3]);
  merge(130, 10, [4, 5]);
  merge(150, 10, []);
  merge(170, 10, [8]);
  merge(160, 10, [7, 9]);
  merge(180, 20, [6]);
  merge(200, 20, new Array(200).fill(1));
  return [seen, history.points];
}"""


def test_an_hour_of_history_is_put_together_from_what_is_new(opened):
    page = opened()
    seen, points = page.page.evaluate(MERGE, page.requests("/history.js")[0])
    assert seen[:6] == [
        [100, 130, [1, 2, 3]],
        [100, 150, [1, 2, 3, 4, 5]],
        [100, 150, [1, 2, 3, 4, 5]],
        [100, 180, [1, 2, 3, 4, 5, None, None, 8]],  # Points that no document brought are unknown.
        [100, 180, [1, 2, 3, 4, 5, None, 7, 9]],  # Those that come again count.
        [180, 200, [6]],  # Other steps begin anew.
    ]
    assert seen[6][1] == 4200 and points == 200 and len(seen[6][2]) == 200


def test_all_files_are_small_and_may_be_kept(opened):
    page = opened()
    files = {*page.requests("/assets/"), page.base}
    sizes = {}
    for url in files:
        answer = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=40)
        sizes[url] = len(gzip.compress(answer.content))
        if url != page.base:
            assert "immutable" in answer.headers["Cache-Control"]
    assert len(files) > 10
    assert sum(sizes.values()) < PAGE_GZIPPED_BYTES_MAX
    policy = requests.get(page.base, timeout=40).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
