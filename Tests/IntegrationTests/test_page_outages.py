"""What the status page shows when Redis, the trace backend or the collector itself is unavailable, and when there is nothing yet."""

import re
import signal
import time
from datetime import date, datetime, timezone

import pytest

from support.asynq_messages import task_message
from support.collector import Collector
from support.deadline import eventually
from support.otlp import attributes, numbered_request, numbered_span, process_span, request
from support.ports import free_port
from support.redis_server import RedisServer
from support.stack import AsynqQueue
from support.status_page import Chromium


AN_HOUR_FAST = """
const Right = Date;
Date = class extends Right {
  constructor(...when) { super(...(when.length > 0 ? when : [Right.now() + 3600000])); }
  static now() { return Right.now() + 3600000; }
};
"""


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


def base(collector: Collector) -> str:
    return f"http://127.0.0.1:{collector.metrics_port}/"


def start(start_collector, server: RedisServer, **options) -> Collector:
    return start_collector(options={"redis.url": server.tcp_url, "redis.interval": "500ms", "redis.timeout": "500ms"} | options)


def with_one_queue(chromium, start_collector, redis):
    """A collector that knows the queue emails, and its page, which shows it."""
    with redis.client() as client:
        AsynqQueue(client, "emails").add("pending", "one")
    collector = start(start_collector, redis)
    page = chromium.open(base(collector))
    page.wait_for("tr.row")
    return collector, page


def test_without_redis_the_last_known_queues_stay_greyed_with_their_age(chromium, start_collector, redis):
    with redis.client() as client:
        queue = AsynqQueue(client, "emails")
        for number in range(7):
            queue.add("pending", f"task-{number}")
    collector = start(start_collector, redis)
    page = chromium.open(base(collector))
    page.wait_for("tr.row")
    eventually("seven tasks", lambda: "7 pending" in page.text("tr.row"))
    redis.stop()
    page.wait_for(".notice.critical")
    assert "Redis is unavailable" in page.text(".notice") and re.search(r"state of \d\d:\d\d:\d\d", page.text(".notice"))
    assert "7 pending" in page.text("tr.row")
    assert page.page.locator(".block.stale").count() == 1
    assert "unavailable" in page.text("header .ends")
    assert page.axe() == []
    redis.start()
    with redis.client() as client:
        AsynqQueue(client, "emails").add("pending", "again")
    eventually("it is read again", lambda: page.page.locator(".notice").count() == 0)
    eventually("the new number", lambda: "1 pending" in page.text("tr.row"))
    page.close()


def test_a_redis_that_was_never_read_is_named(chromium, start_collector):
    collector = start_collector(options={"redis.url": f"redis://127.0.0.1:{free_port()}/3", "redis.interval": "500ms"})
    page = chromium.open(base(collector))
    page.wait_for(".notice.critical")
    assert "Redis is unavailable" in page.text(".notice")
    assert "/3" in page.text("main")
    assert page.axe() == []
    page.close()


def test_without_queues_and_spans_it_says_what_to_do_next(chromium, start_collector, redis):
    collector = start(start_collector, redis)
    page = chromium.open(base(collector))
    page.wait_for("section[aria-label='No queues yet']")
    assert f'Addr: "127.0.0.1:{redis.port}"' in page.text("section[aria-label='No queues yet']")
    assert "client.Enqueue" in page.text("main")
    hint = page.text("section[aria-label='No span has arrived yet'] pre")
    assert len(hint.splitlines()) == 3 and "exportgrpc.New(" in hint and "tasktrace.Middleware()" in hint
    # Where this collector listens, and not where one does by default.
    assert f'exportgrpc.New(ctx, "127.0.0.1:{collector.otlp_port}")' in hint
    assert f"127.0.0.1:{collector.otlp_port}" in page.text("section[aria-label='No span has arrived yet'] p")
    assert "Nothing needs attention" in page.text("main")
    assert page.axe() == []
    page.close()


def test_a_collector_without_redis_says_that_it_is_told_so(chromium, start_collector):
    collector = start_collector()
    page = chromium.open(base(collector))
    page.wait_for("section[aria-label='Redis is not read']")
    assert "not read" in page.text("header .ends")
    page.close()


def test_a_collector_that_receives_no_spans_says_so(chromium, start_collector, redis):
    collector = start(start_collector, redis, **{"otlp.listen": "none", "otlp.socket": "none"})
    page = chromium.open(base(collector))
    page.wait_for("section[aria-label='No span has arrived yet']")
    assert "otlp.listen and otlp.socket are none" in page.text("section[aria-label='No span has arrived yet']")
    assert page.page.locator("section[aria-label='No span has arrived yet'] pre").count() == 0
    plain = collector.get("/").body.decode()
    assert "otlp.listen and otlp.socket are none" in plain and "exportgrpc" not in plain
    page.close()


def test_before_redis_was_read_nothing_is_said_to_be_well(chromium, start_collector, redis):
    redis.pause()
    collector = start_collector(options={"redis.url": redis.tcp_url, "redis.timeout": "30s"}, ready_path="/-/healthy")
    try:
        page = chromium.open(base(collector))
        page.wait_for(".notice.info")
        assert "not read yet" in page.text("header .ends") and "Nothing needs attention" not in page.text("main")
        plain = collector.get("/").body.decode()
        assert "has not read Redis yet" in plain and "Nothing is wrong" not in plain and "No queues yet" not in plain
        page.close()
    finally:
        redis.resume()


def test_how_long_a_queue_has_been_paused_is_known_after_a_restart(chromium, start_collector, redis):
    with redis.client() as client:
        AsynqQueue(client, "imports").add("pending", "one")
        client.set("asynq:{imports}:paused", str(int(time.time()) - 1805))
    collector = start(start_collector, redis)
    page = chromium.open(base(collector))
    page.wait_for(".attention li")
    assert "imports has been paused for 30 min; 1 task waits" in page.text(".attention li")
    assert "for 30 min" in page.text(".attention .since") and "not alerting yet" not in page.text(".attention")
    collector.stop()
    collector.start()
    eventually("it is back", lambda: page.text(".live").startswith("updated"))
    eventually("the sentence", lambda: "imports has been paused for 30 min" in page.text(".attention li"))
    page.expect("ERR_CONNECTION")
    page.close()


def test_an_unavailable_trace_backend_is_in_the_header_and_in_the_view_of_spans(chromium, start_collector, redis):
    collector = start(start_collector, redis, **{"tempo.endpoint": f"http://127.0.0.1:{free_port()}"})
    page = chromium.open(base(collector), "#/spans")
    page.wait_for("section[aria-label=Forwarder]")
    collector.post(numbered_request(range(5)))
    eventually("it is unavailable", lambda: "unavailable" in page.text("header .ends"))
    eventually("the spans wait", lambda: re.search(r"In the spool\s*5", page.text("ol.flow")))
    assert page.axe() == []
    page.close()


def test_a_lost_connection_is_said_and_the_page_goes_on_when_it_is_back(chromium, start_collector, redis):
    collector, page = with_one_queue(chromium, start_collector, redis)
    collector.stop()
    eventually("the loss", lambda: re.fullmatch(r"connection lost, last data \d\d:\d\d:\d\d", page.text(".live")))
    assert page.rows() == ["emails"]
    assert page.axe() == []
    collector.start()
    eventually("it goes on", lambda: page.text(".live").startswith("updated"))
    assert page.page.locator(".notice").count() == 0
    # Chromium's own lines about connections that were refused.
    page.expect("ERR_CONNECTION")
    page.close()


@pytest.mark.parametrize("answer, reason", [
    (dict(status=401, body="no"), "the collector answers 401"),
    (dict(status=502, content_type="text/html", body="<h1>Bad gateway</h1>"), "the collector answers 502"),
    (dict(status=200, content_type="text/html; charset=utf-8", body="<html>log in</html>"), "the answer is not JSON (its type is text/html)"),
    (dict(status=200, content_type="application/json", body=""), "the answer is not JSON (its type is application/json)"),
    (dict(status=200, content_type="application/json", body="null"), "the answer comes from another program"),
    (dict(status=200, content_type="application/json", body="7"), "the answer comes from another program"),
    (dict(status=200, content_type="application/json", body="{}"), "the answer comes from another program"),
    (dict(status=200, content_type="application/json", body='{"error":"please log in"}'), "the answer comes from another program"),
], ids=["401", "502", "html", "empty", "null", "number", "object", "error"])
def test_a_lost_connection_has_its_reason(chromium, start_collector, redis, answer, reason):
    collector, page = with_one_queue(chromium, start_collector, redis)
    page.page.route("**/api/v1/overview*", lambda route: route.fulfill(**answer))
    eventually("the loss", lambda: page.text(".live").startswith("connection lost, last data"))
    assert f"Reason: {reason}" in page.text(".notice") and page.rows() == ["emails"]
    page.page.unroute("**/api/v1/overview*")
    eventually("it goes on", lambda: page.text(".live").startswith("updated"))
    page.expect("Failed to load resource")
    page.close()


LOG_IN = dict(status=200, content_type="application/json", body='{"error":"please log in"}')


@pytest.mark.parametrize("view, content, body", [
    ("", "Queues", LOG_IN["body"]), ("servers", "Servers", LOG_IN["body"]), ("errors", "Dead letters", LOG_IN["body"]),
    ("errors", "Dead letters", "[]"), ("queue/emails", "Dead letters", LOG_IN["body"]), ("queue/emails", "Dead letters", "[]"),
    ("queue/emails", "Dead letters", '{"queue":"emails","history":null}')])
def test_json_of_another_program_is_a_lost_connection_in_every_view(chromium, start_collector, redis, view, content, body):
    collector, page = with_one_queue(chromium, start_collector, redis)
    page.page.evaluate("(view) => { location.hash = `#/${view}`; }", view)
    page.wait_for(f"section[aria-label='{content}']")
    page.page.route("**/api/v1/**", lambda route: route.fulfill(**LOG_IN | {"body": body}))
    eventually("the loss", lambda: page.text(".live").startswith("connection lost, last data"))
    assert "the answer comes from another program" in page.text(".notice")
    assert page.page.locator(f"section[aria-label='{content}']").count() == 1, "what was known stays"
    page.page.unroute("**/api/v1/**")
    eventually("it goes on", lambda: page.text(".live").startswith("updated"))
    page.close()


@pytest.mark.parametrize("address, view, place", [
    ("errors", "errors", "main > div > .notice"), ("queues/emails", "queue/emails", ".opened .notice"),
    ("tasks*", "task/emails/one", "#main"), ("tasks*", "task//one", "#main"), ("tasks/**", "task/emails/one", "#main")])
def test_json_of_another_program_in_place_of_one_document_is_told_of(chromium, start_collector, redis, address, view, place):
    collector, page = with_one_queue(chromium, start_collector, redis)
    page.page.route(f"**/api/v1/{address}", lambda route: route.fulfill(**LOG_IN))
    page.page.evaluate("(view) => { location.hash = `#/${view}`; }", view)
    if address == "tasks*" and view == "task/emails/one":
        page.wait_for(".found")
    else:
        eventually("the reason", lambda: "answer comes from another program" in page.text(place).replace("The answer", "answer"))
    assert page.text(".live").startswith("updated")
    page.close()


def test_a_trace_in_whose_place_another_program_answers_is_not_an_empty_one(chromium, start_collector, redis):
    collector = start(start_collector, redis)
    page = chromium.open(base(collector))
    page.page.route("**/api/v1/traces/*", lambda route: route.fulfill(**LOG_IN))
    page.page.goto(base(collector) + f"trace/{1:032x}")
    page.wait_for(".opened .notice.critical")
    assert "0 spans" not in page.text("main") and "another program" in page.text(".opened .notice")
    page.close()


@pytest.mark.parametrize("break_it", [
    lambda client: client.set("asynq:servers", "x"),
    lambda client: client.zadd("asynq:servers", {"asynq:servers:{h:1:s}": time.time() + 600}) and client.set("asynq:servers:{h:1:s}", b"\x0a\x7f"),
], ids=["index", "the only server"])
def test_servers_that_can_not_be_read_are_not_said_to_be_none(chromium, start_collector, redis, break_it):
    with redis.client() as client:
        AsynqQueue(client, "emails").clear("pending")
        break_it(client)
        client.set("asynq:schedulers", "x")
    collector = start(start_collector, redis)
    page = chromium.open(base(collector), "#/servers")
    page.wait_for(".notice")
    text = page.text("main")
    assert "Servers that can't be read" in text and "asynq:servers" in text and "No server is alive" not in text
    page.page.evaluate("location.hash = '#/cron'")
    page.wait_for("section[aria-label='Cron entries']")
    text = page.text("main")
    assert "asynq:schedulers: Redis: WRONGTYPE" in text and "No scheduler has an entry" not in text
    page.page.evaluate("location.hash = '#/'")
    page.wait_for("dl.tiles")
    assert "can't be read" in page.text("dl.tiles") and "0 servers" not in page.text("main")
    assert "The servers can't be read: asynq:servers" in page.text(".attention") and "Nothing needs" not in page.text("main")
    assert page.axe() == []
    page.page.evaluate("location.hash = '#/queue/emails'")
    page.wait_for("section[aria-label='Served by']")
    assert "is unknown" in page.text("section[aria-label='Served by']")
    page.close()


def test_a_collector_that_hangs_is_no_live_one(chromium, start_collector, redis):
    collector, page = with_one_queue(chromium, start_collector, redis)
    collector.process.send_signal(signal.SIGSTOP)
    try:
        eventually("the loss", lambda: page.text(".live").startswith("connection lost, last data"))
        assert page.page.locator(".live .dot.critical").count() == 1 and "Connection lost" in page.text(".notice")
    finally:
        collector.process.send_signal(signal.SIGCONT)
    eventually("it goes on", lambda: page.text(".live").startswith("updated"))
    page.close()


def test_times_are_the_collectors_where_the_browsers_clock_is_wrong(chromium, start_collector, redis):
    with redis.client() as client:
        AsynqQueue(client, "emails").add("pending", "one")
    collector = start(start_collector, redis)
    page = chromium.open(base(collector), timezone_id="UTC")
    page.page.add_init_script(AN_HOUR_FAST)
    page.page.reload()
    page.wait_for("tr.row")
    assert re.match(r"\d+ s$", page.text("header time").removeprefix("up "))
    collector.stop()
    eventually("the loss", lambda: page.text(".live").startswith("connection lost, last data"))
    said = datetime.strptime(page.text(".live").split()[-1], "%H:%M:%S").time()
    ago = (datetime.combine(date.today(), datetime.now(timezone.utc).time()) - datetime.combine(date.today(), said)).total_seconds()
    assert 0 <= ago % 86_400 < 60, said
    collector.start()
    page.expect("ERR_CONNECTION")
    page.close()


def test_a_queue_whose_document_fails_says_so_and_goes_on(chromium, start_collector, redis):
    collector, page = with_one_queue(chromium, start_collector, redis)
    page.page.route("**/api/v1/queues/*", lambda route: route.fulfill(status=500, body="no"))
    page.page.locator("tr.row .name a").click()
    page.wait_for(".opened .notice.critical")
    assert "the collector answers 500" in page.text(".opened .notice") and "1 pending" in page.text(".states-panel")
    page.page.unroute("**/api/v1/queues/*")
    page.wait_for(".charts .plot")
    eventually("it goes on", lambda: page.page.locator(".opened .notice").count() == 0)
    page.expect("500")  # Chromium's own lines about the answers.
    page.close()


def test_collectors_of_two_versions_behind_one_address_do_not_load_it_again_and_again(chromium, start_collector, redis):
    collector = start(start_collector, redis)
    page = chromium.open(base(collector))

    def of_another_version(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"collector": answer.json()["collector"] | {"page": "0" * 16}})

    page.page.route("**/api/v1/overview*", of_another_version)
    page.wait_for("main .panel")
    page.page.wait_for_timeout(7_000)
    assert len([url for url in page.requests() if url == base(collector)]) == 2
    page.page.unroute("**/api/v1/overview*")
    page.close()


def test_slow_waits_of_a_queue_are_there_however_slow_another_is(chromium, start_collector, redis):
    collector = start(start_collector, redis)
    spans = [(number, "quiet" if number == 0 else "loud", 2 if number == 0 else 90) for number in range(13)]
    collector.post(request(*(process_span(number, queue, "t", attributes=attributes(
        messaging__system="asynq", messaging__destination__name=queue, asynq__task__type="t", asynq__task__wait_seconds=seconds))
        for number, queue, seconds in spans)))
    eventually("the queue", lambda: collector.get("/api/v1/queues/quiet").status == 200)
    page = chromium.open(base(collector), "#/queue/quiet")
    table = page.wait_for("section[aria-label='Slowest waits'] tbody")
    assert "2.0 s" in table.inner_text()
    page.close()


def test_a_paused_queue_is_marked_and_live_changes_show_within_seconds(chromium, start_collector, redis):
    with redis.client() as client:
        queue = AsynqQueue(client, "imports")
        queue.add("pending", "one")
        collector = start(start_collector, redis)
        page = chromium.open(base(collector))
        page.wait_for("tr.row")
        assert page.page.locator("tr.row .badge").count() == 0
        client.set("asynq:{imports}:paused", str(int(time.time())))
        queue.add("pending", "two")
        eventually("the badge", lambda: "paused" in page.text("tr.row"))
        eventually("two tasks", lambda: "2 pending" in page.text("tr.row"))
    page.close()


LINES = "handler: 2 errors\n\tdial tcp: refused\r\n\tx509: expired"


def test_an_error_of_several_lines_has_them_where_there_is_room(chromium, start_collector, redis):
    with redis.client() as client:
        AsynqQueue(client, "emails").add("archived", "one", time.time())
        message = task_message("mail", "one", "emails", 25, error=LINES, last_failed_at=int(time.time()))
        client.hset("asynq:{emails}:t:one", "msg", message)
    collector = start(start_collector, redis)
    page = chromium.open(base(collector), "#/task/emails/one")
    whole = page.wait_for(".found pre")
    assert whole.inner_text() == LINES.replace("\r\n", "\n")
    assert whole.bounding_box()["height"] > 3 * whole.evaluate("(node) => parseFloat(getComputedStyle(node).lineHeight)")
    page.page.evaluate("location.hash = '#/errors'")
    page.wait_for("section[aria-label='Dead letters'] td")
    assert "handler: 2 errors ⏎ dial tcp: refused ⏎ x509: expired" in page.text("section[aria-label='Dead letters']")
    page.close()


@pytest.mark.parametrize("stamps", [
    dict(end_time_unix_nano=0), dict(end_time_unix_nano=2**64 - 1), dict(start_time_unix_nano=1000),
    dict(start_time_unix_nano=1000, end_time_unix_nano=2**64 - 1), dict(start_time_unix_nano=1_000_000_000_000_000_000),
    dict(start_time_unix_nano=time.time_ns() // 1000), dict(end_time_unix_nano=time.time_ns() + 10**18)],
    ids=["no end", "the last end", "a microsecond", "both", "2001", "microseconds", "in thirty years"])
def test_a_stamp_that_can_not_be_does_not_stretch_the_trace(chromium, start_collector, redis, stamps):
    collector = start(start_collector, redis)
    odd = numbered_span(0, span_id=bytes(7) + bytes([8]), name="odd", **stamps)
    collector.post(request(numbered_span(0), odd))
    page = chromium.open(base(collector), f"trace/{1:032x}")
    page.wait_for(".waterfall .span")
    assert page.text("main h2 small") == "2 spans · 1 service · 1 ms"
    assert sorted(page.page.locator(".took").all_inner_texts()) == ["1 ms", "–"]
    page.close()


def test_a_screen_reader_is_told_what_the_page_says(chromium, start_collector, redis):
    """In the first minute, that nothing needs attention so far; of one trouble, that it needs attention."""
    collector, page = with_one_queue(chromium, start_collector, redis)
    with redis.client() as client:
        client.set("asynq:{emails}:paused", int(time.time()) - 1860)
        eventually("one", lambda: page.text("[role=status].hidden").startswith("1 needs attention. emails has been paused"))
        eventually("the number", lambda: page.page.locator("nav a").first.text_content() == "Queues1 needs attention")
        client.delete("asynq:{emails}:paused", "asynq:{emails}:pending")
        eventually("none", lambda: page.text("[role=status].hidden") == "Nothing needs attention so far.")
    assert "Nothing needs attention so far." in page.text(".attention")
    page.close()


def test_a_span_without_a_start_does_not_stretch_its_trace(chromium, start_collector, redis):
    collector = start(start_collector, redis)
    first = numbered_span(0, attributes=attributes(exception__stacktrace=LINES))
    undated = [numbered_span(0, span_id=bytes(7) + bytes([number]), name="undated", start_time_unix_nano=0, end_time_unix_nano=end)
               for number, end in ((8, 0), (9, first.end_time_unix_nano))]
    collector.post(request(first, *undated))
    page = chromium.open(base(collector), f"trace/{1:032x}")
    page.wait_for(".waterfall .span")
    assert page.text("main h2 small") == "3 spans · 1 service · 1 ms"
    assert sorted(page.page.locator(".took").all_inner_texts()) == ["1 ms", "–", "–"]
    page.page.locator("button.span", has_text="span 0").click()
    assert page.page.locator(".attributes dd").first.inner_text() == LINES.replace("\r\n", "\n")
    link = page.page.get_by_role("link", name="As JSON")
    assert link.get_attribute("href") == f"{base(collector)}api/v1/traces/{1:032x}"
    page.close()
