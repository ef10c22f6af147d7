"""How the status page leads to traces and says of what attempts and quantiles are, where there is more than one answer."""

import json
import re
import time

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.asynq_messages import task_message
from support.collector import Collector
from support.deadline import eventually
from support.otlp import attributes, process_span, request
from support.redis_server import RedisServer
from support.status_page import DESKTOP, PHONE

TRACE = (7).to_bytes(16, "big").hex()
KEYS = ("external-url.grafana", "traces.recent-max-bytes")
NONE_KEPT = "No spans are kept in memory (traces.recent-max-bytes is 0)."
GRAFANA = "http://grafana.example"


def base(collector: Collector) -> str:
    return f"http://127.0.0.1:{collector.metrics_port}/"


def start(start_collector, server: RedisServer, **options) -> Collector:
    return start_collector(options={"redis.url": server.url, "redis.interval": "500ms"} | options)


def document(collector: Collector, path: str) -> dict:
    return json.loads(collector.get(f"/api/v1/{path}").body)


def die(client, task: str, error: str = "no funds", headers: dict | None = None, at: float | None = None) -> None:
    message = task_message("invoice", task, "billing", retried=0, error=error, headers=headers or {})
    client.sadd("asynq:queues", "billing")
    client.hset(f"asynq:{{billing}}:t:{task}", mapping={"msg": message, "state": "archived"})
    client.zadd("asynq:{billing}:archived", {task: int(at or time.time())})


def attempt(number: int, error: str | None = None, seconds: float = 0.5, task: str | None = None) -> Span:
    named = attributes(messaging__system="asynq", messaging__destination__name="billing", asynq__task__type="invoice",
                       messaging__message__id=task or f"task-{number}", asynq__task__wait_seconds=seconds)
    status = Status(code=Status.STATUS_CODE_ERROR, message=error) if error else None
    return process_span(number, "billing", "invoice", trace_id=bytes.fromhex(TRACE), attributes=named, status=status)


# --- Traces ----------------------------------------------------------------------------------------------------------


def test_plain_trace_ids_say_how_they_become_links(chromium, start_collector, redis, tempo):
    server, client = redis
    collector = start(start_collector, server, **{"tempo.endpoint": tempo.endpoint})
    collector.post(request(attempt(1, "no funds", task="one")))
    die(client, "one", headers={"traceparent": f"00-{TRACE}-{1:016x}-01"})
    eventually("the dead letter", lambda: document(collector, "overview")["dead_letters"])
    hint = document(collector, "overview")["links"]["trace_hint"]
    assert all(key in hint for key in KEYS)
    page = chromium.open(base(collector))
    for view, place in (("#/", "section[aria-label=Errors]"), ("#/errors", "section[aria-label=Errors]"),
                        ("#/queue/billing", "section[aria-label=Errors]"), ("#/task/billing/one", "section[aria-label='Find a task']")):
        page.page.goto(base(collector) + view)
        plain = page.wait_for(f"{place} code[title]")
        assert plain.get_attribute("title") == f"{TRACE}. {hint}", view
        assert hint in page.text(place), view
        for viewport in (DESKTOP, PHONE):
            page.page.set_viewport_size(viewport)
            assert not page.is_too_wide(), view
    assert page.axe() == []
    page.close()
    body = collector.get("/").body.decode()
    assert f"<p>{hint}</p>" in body


@pytest.mark.parametrize("options", [{"traces.recent-max-bytes": "1MiB"}, {"external-url.grafana": GRAFANA}], ids=str)
def test_where_trace_ids_are_links_there_is_no_hint(chromium, start_collector, redis, tempo, options):
    server, client = redis
    collector = start(start_collector, server, **{"tempo.endpoint": tempo.endpoint} | options)
    collector.post(request(attempt(1, "no funds", task="one")))
    page = chromium.open(base(collector), "#/errors")
    page.wait_for("ul.errors a[href*='trace'], ul.errors a[href*='explore']")
    assert document(collector, "overview")["links"]["trace_hint"] is None
    assert not any(key in page.text("main") for key in KEYS)
    page.close()


def test_a_trace_of_which_no_spans_are_kept_says_so_and_how_to_see_it(chromium, start_collector, redis, tempo):
    server, _ = redis
    collector = start(start_collector, server, **{"tempo.endpoint": tempo.endpoint})
    page = chromium.open(base(collector), f"trace/{TRACE}")
    page.expect("404")
    eventually("why", lambda: page.text("main .empty").startswith(NONE_KEPT))
    assert all(key in page.text("main .empty") for key in KEYS)
    assert page.axe() == []
    page.close()
    without = chromium.open(base(collector), f"trace/{TRACE}", java_script_enabled=False)
    assert NONE_KEPT in without.page.locator("body").inner_text()


def test_a_trace_that_is_not_kept_leads_to_grafana(chromium, start_collector, redis, tempo):
    server, _ = redis
    collector = start(start_collector, server, **{"tempo.endpoint": tempo.endpoint, "external-url.grafana": GRAFANA})
    page = chromium.open(base(collector), f"trace/{TRACE}")
    page.expect("404")
    link = page.wait_for("main .empty a")
    assert page.text("main .empty").startswith(NONE_KEPT) and not any(key in page.text("main .empty") for key in KEYS[:1])
    assert link.get_attribute("href").startswith(GRAFANA + "/explore?") and TRACE in link.get_attribute("href")
    page.close()


def test_a_trace_that_is_too_old_and_an_id_that_is_none_are_told_apart(chromium, start_collector, redis):
    server, _ = redis
    collector = start(start_collector, server)
    page = chromium.open(base(collector), f"trace/{TRACE}")
    page.expect("404")
    eventually("why", lambda: page.text("main .empty").startswith("No span of this trace is in memory: it may be too old"))
    page.page.goto(base(collector) + "trace/nonsense")
    page.expect("400")
    eventually("why", lambda: page.text("main .empty") == "A trace id is 32 hex digits, not all of them 0.")
    page.close()


# --- Attempts, dead letters, quantiles -------------------------------------------------------------------------------


def test_dead_letters_without_spans_have_no_number_of_attempts(chromium, start_collector, redis):
    server, client = redis
    for number in range(3):
        die(client, f"t{number}")
    collector = start(start_collector, server)
    why = "Attempts are counted from spans, dead letters from Redis; a panic may have another text in each."
    page = chromium.open(base(collector), "#/errors")
    for view in ("#/errors", "#/queue/billing", "#/"):
        page.page.goto(base(collector) + view)
        page.wait_for("ul.errors li")
        assert re.fullmatch(r"–\s*attempts", page.page.locator(".tally span").first.inner_text()), view
        assert why in page.text("section[aria-label=Errors]"), view
    assert page.axe() == []
    collector.post(request(*(attempt(number, "no funds") for number in range(3))))
    eventually("three", lambda: re.fullmatch(r"3\s*attempts", page.page.locator(".tally span").first.inner_text()))
    assert why not in page.text("section[aria-label=Errors]")
    page.close()


def test_a_queue_of_one_type_has_one_p95(chromium, start_collector, redis):
    server, client = redis
    client.sadd("asynq:queues", "billing")
    collector = start(start_collector, server)
    collector.post(request(*(attempt(number, seconds=7.1 + number * 0.05) for number in range(10))))

    def found() -> dict | None:
        queue = document(collector, "queues/billing")
        return queue if queue["task_types"] and queue["wait_p95_seconds"] else None

    queue = eventually("waits", found)
    assert queue["wait_p95_seconds"] == queue["task_types"][0]["wait_p95_seconds"]
    page = chromium.open(base(collector), "#/queue/billing")
    page.wait_for("section[aria-label='Task types'] tbody td")
    shown = page.page.locator("section[aria-label='Task types'] tbody td").nth(3).inner_text().split("\n")[-1]
    assert re.search(rf"Recent wait p50 / p95 / p99\s.+ / {re.escape(shown)} / ", page.text(".states-panel"))
    assert "since the start" in page.text("section[aria-label='Task types'] h2")
    page.close()


def test_when_tasks_died_is_drawn_though_archived_tasks_are_no_backlog(chromium, start_collector, redis):
    server, client = redis
    client.sadd("asynq:queues", "billing")
    collector = start(start_collector, server)
    eventually("the queue", lambda: document(collector, "overview")["queues"])
    for number in range(5):
        die(client, f"t{number}")
    page = chromium.open(base(collector), "#/queue/billing")

    def deaths() -> float:
        return sum(value or 0 for value in document(collector, "queues/billing")["history"]["dead_lettered"])

    eventually("the deaths", lambda: deaths() > 0)
    page.wait_for(".charts .plot")
    legend = page.page.locator(".chart:has-text('Failures') .legend button")
    assert [text.split("\n")[0] for text in legend.all_inner_texts()] == ["failed", "dead letters"]
    eventually("the curve", lambda: page.page.locator(".chart:has-text('Failures') .series.dead_lettered path").get_attribute("d"))
    archived = page.page.locator(".chart:has-text('Backlog by state') .legend button", has_text="archived")
    assert archived.get_attribute("aria-pressed") == "false" and "wait" in archived.get_attribute("title")
    assert archived.inner_text().split() == ["archived", "5"]
    archived.click()
    page.wait_for(".chart:has-text('Backlog by state') .series.archived")
    page.close()
