"""What the status page and the page without script say of troubles: which are seen, what is red, and what numbers mean."""

import json
import re
import time

import pytest

from support.asynq_messages import scheduler_entry, server_info, task_message
from support.collector import Collector
from support.deadline import eventually
from support.otlp import numbered_request
from support.ports import free_port
from support.redis_server import RedisServer
from support.stack import AsynqQueue
from support.status_page import DESKTOP, PHONE

AN_HOUR = 3600


def base(collector: Collector) -> str:
    return f"http://127.0.0.1:{collector.metrics_port}/"


def start(start_collector, server: RedisServer, **options) -> Collector:
    return start_collector(options={"redis.url": server.url, "redis.interval": "500ms"} | options)


def overview(collector: Collector) -> dict:
    return json.loads(collector.get("/api/v1/overview").body)


def plain(collector: Collector) -> str:
    return collector.get("/").body.decode()


def pause(client, name: str, seconds: int = 2 * AN_HOUR) -> None:
    AsynqQueue(client, name).add("pending", "one")
    client.set(f"asynq:{{{name}}}:paused", int(time.time()) - seconds)


def serve(client, *queues: str, status: str = "active") -> None:
    client.zadd("asynq:servers", {"asynq:servers:{h:1:s}": time.time() + AN_HOUR})
    client.set("asynq:servers:{h:1:s}", server_info("h", 1, "s", 9, dict.fromkeys(queues, 1), status))


def test_a_tick_is_overdue_where_the_alert_says_so_and_not_just_after_it_was_due(chromium, start_collector, redis):
    server, client = redis
    now = time.time()
    scheduler = "asynq:schedulers:{h:1:s}"
    for task_type, next_tick in (("late", now - 400), ("just", now - 4), ("later", now + AN_HOUR)):
        client.rpush(scheduler, scheduler_entry(task_type, "@every 1h", task_type, next_tick, now - AN_HOUR))
    client.zadd("asynq:schedulers", {scheduler: now + AN_HOUR})
    collector = start(start_collector, server)
    eventually("the entries", lambda: overview(collector)["cron"])
    page = chromium.open(base(collector), "#/cron")
    page.wait_for("table[aria-label='Cron entries'] tbody tr")

    def cell(task_type: str):
        return page.page.locator(f"tr:has(code:text-is('{task_type}')), tr:has(.code:text-is('{task_type}'))").locator("td").nth(2)

    assert re.fullmatch(r"(Next)?\s*\d min overdue", cell("late").inner_text())
    assert re.fullmatch(r"(Next)?\s*due (now|\d+ s ago)", cell("just").inner_text())
    assert re.fullmatch(r"(Next)?\s*in (1 h|60 min|59 min)", cell("later").inner_text())
    assert [cell(name).locator(".text-critical").count() for name in ("late", "just", "later")] == [1, 0, 0]
    assert {entry["task_type"]: entry["overdue"] for entry in overview(collector)["cron"]} == {"late": True, "just": False, "later": False}
    assert plain(collector).count('<span class="bad">') == 1
    page.close()


def test_a_backlog_without_a_server_drains_never(chromium, start_collector, redis):
    server, client = redis
    for name in ("served", "alone"):
        for number in range(3):
            AsynqQueue(client, name).add("pending", f"t{number}")
    AsynqQueue(client, "empty").clear("pending")
    serve(client, "served")
    collector = start(start_collector, server)
    page = chromium.open(base(collector), "#/?sort=queue")
    page.wait_for("tr.row")
    eventually("never", lambda: page.page.locator("tr.row:has-text('alone') td.drain").inner_text() == "never")
    assert page.page.locator("tr.row:has-text('empty') td.drain").inner_text() == "–"
    assert '<td class="n">never</td>' in plain(collector)
    page.page.goto(base(collector) + "#/queue/alone")
    eventually("the fact", lambda: re.search(r"Drains in\s*never", page.text(".states-panel")))
    page.close()


def test_an_opened_queue_has_its_numbers_from_one_document(chromium, start_collector, redis):
    server, client = redis
    pause(client, "imports")
    collector = start(start_collector, server)
    page = chromium.open(base(collector), "#/queue/imports")
    page.wait_for(".charts .plot")

    def older(route):
        document = route.fetch().json()
        for queue in document["queues"]:
            queue["pending"] = 777
        for item in document["attention"]:
            item["sentence"] = "imports has been paused for 9 days; 777 tasks wait"
        route.fulfill(json=document)

    page.page.route("**/api/v1/overview*", older)
    AsynqQueue(client, "imports").add("pending", "two")
    eventually("its own sentence", lambda: "2 tasks wait" in page.text(".attention"))
    assert "2 pending" in page.text(".states-panel") and "777" not in page.text("main")
    legend = page.page.locator(".chart").first.locator(".legend button", has_text="pending")
    assert legend.inner_text().split() == ["pending", "2"]
    page.page.unroute("**/api/v1/overview*")
    page.close()


def test_what_concerns_everything_is_seen_however_many_queues_are_worse_off(chromium, start_collector, redis):
    server, client = redis
    for number in range(9):
        pause(client, f"q{number}")
    client.set("asynq:schedulers", "not a set")
    collector = start(start_collector, server)
    page = chromium.open(base(collector))
    page.wait_for(".attention li")

    def sentences() -> list[str]:
        return page.page.locator(".attention .sentence").all_inner_texts()

    eventually("the cron entries", lambda: any("The cron entries can't be read" in one for one in sentences()))
    # It has the severity of the queues that have been paused too long, and stands before them.
    assert "The cron entries can't be read" in sentences()[0]
    assert len(sentences()) == 6 and page.text(".attention .more") == "Show 4 more"
    listed = [(item["global"], item["severity"]) for item in overview(collector)["attention"]]
    assert listed == [(True, "warning")] + [(False, "warning")] * 9
    page.close()


def test_a_trace_backend_that_is_unavailable_is_seen_before_its_alert_fires(chromium, start_collector, redis):
    server, client = redis
    for number in range(9):
        pause(client, f"q{number}")
    collector = start(start_collector, server, **{"tempo.endpoint": f"http://127.0.0.1:{free_port()}"})
    collector.post(numbered_request(range(5)))
    page = chromium.open(base(collector))
    page.wait_for(".attention li")
    last = page.page.locator(".attention li").last
    eventually("Tempo", lambda: "Tempo has been unreachable" in last.inner_text() and "not alerting yet" in last.inner_text())
    assert page.page.locator(".attention li").count() == 7 and page.text(".attention .more") == "Show 3 more"
    page.page.locator(".attention .more").click()
    eventually("all", lambda: page.page.locator(".attention li").count() == 10)
    assert page.text(".attention .more") == "Show fewer"
    page.close()


@pytest.mark.parametrize("command, queue_has", [
    ("zrangebyscore", None), ("zcount", None), ("scard", None), ("hmget", "pending")])
def test_a_forbidden_command_is_one_trouble_that_names_it(chromium, start_collector, redis, command, queue_has):
    server, client = redis
    for number in range(40):
        queue = AsynqQueue(client, f"q{number:02}")
        if queue_has:
            queue.add(queue_has, f"id-{number}")
    client.execute_command("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", f"-{command}")
    collector = start(start_collector, server, **{"redis.username": "reader", "redis.password": "secret"})

    def found() -> dict | None:
        return next((item for item in overview(collector)["attention"] if f"'{command}'" in item["sentence"]), None)

    trouble = eventually("the trouble", found)
    assert trouble["sentence"].startswith("All 40 queues can't be read in full: ") and "NOPERM" in trouble["sentence"]
    assert trouble["queue"] is None and trouble["subject"] == "redis" and trouble["global"]
    assert sum("can't be read" in item["sentence"] for item in overview(collector)["attention"]) == 1
    own = json.loads(collector.get("/api/v1/queues/q07").body)
    assert trouble["runbook"] in [item["runbook"] for item in own["attention"]]
    page = chromium.open(base(collector))
    page.wait_for("tr.row")
    eventually("once", lambda: page.text(".attention").count(f"'{command}'") == 1)
    page.close()


def test_a_group_of_errors_says_how_many_dead_letters_were_read(chromium, start_collector, redis):
    server, client = redis
    AsynqQueue(client, "billing").clear("archived")
    collector = start(start_collector, server, **{"redis.interval": "1s"})
    eventually("the queue", lambda: overview(collector)["queues"])
    now = int(time.time())
    with client.pipeline() as pipeline:
        for number in range(30):
            message = task_message("invoice", f"t{number}", "billing", retried=3, error="no funds")
            pipeline.hset(f"asynq:{{billing}}:t:t{number}", mapping={"msg": message, "state": "archived"})
            pipeline.zadd("asynq:{billing}:archived", {f"t{number}": now})
        pipeline.execute()
    said = "20 of 30 dead letters were read; the others came too fast, and are in no group of errors."
    page = chromium.open(base(collector), "#/errors")
    eventually("the numbers", lambda: f"billing: {said}" in page.text("section[aria-label=Errors]"))
    tally = page.page.locator(".tally span", has_text="dead")
    assert re.fullmatch(r"20\s*dead", tally.inner_text()) and "of those that were read" in tally.get_attribute("title")
    page.page.goto(base(collector) + "#/queue/billing")
    eventually("the numbers", lambda: said in page.text("section[aria-label=Errors]"))
    assert page.axe() == []
    page.close()
    assert f"<bdi>billing</bdi></a>: {said}" in plain(collector)


def test_the_sentence_of_a_row_has_two_lines_and_the_rows_below_stand_where_they_should(chromium, start_collector, redis):
    server, client = redis
    with client.pipeline(transaction=False) as pipeline:
        for number in range(200):
            pipeline.sadd("asynq:queues", f"calm-{number:03}")
        pipeline.execute()
    for number in range(40):
        pause(client, f"orders-of-the-day-{number:02}", 30 * 24 * AN_HOUR)
    collector = start(start_collector, server)
    page = chromium.open(base(collector))
    page.wait_for("tr.row.trouble")
    second = page.page.locator("tr.row.trouble .second").first
    assert second.evaluate("(node) => node.scrollHeight <= node.clientHeight + 2 && node.scrollWidth <= node.clientWidth + 1")
    for viewport in (DESKTOP, PHONE):
        page.page.set_viewport_size(viewport)
        for place in (0.3, 0.7, 1):
            page.page.evaluate("(place) => scrollTo(0, place * document.documentElement.scrollHeight)", place)
            eventually("rows in sight", lambda: page.page.evaluate(
                "[...document.querySelectorAll('tr.row')].some((row) => { const box = row.getBoundingClientRect();"
                " return box.top < innerHeight && box.bottom > 0; })"))
        eventually("the last", lambda: page.rows()[-1] == "calm-199")
    assert page.page.locator("#filter").get_attribute("placeholder") == "Filter queues"
    page.page.set_viewport_size(DESKTOP)
    eventually("the key", lambda: "/" in page.page.locator("#filter").get_attribute("placeholder"))
    page.close()


def test_busy_workers_of_a_paused_queue_are_busy_with_others(chromium, start_collector, redis):
    server, client = redis
    pause(client, "imports")
    AsynqQueue(client, "emails").add("active", "one", time.time() + AN_HOUR)
    serve(client, "imports", "emails")
    client.hset("asynq:workers:{h:1:s}", "one", b"")
    collector = start(start_collector, server)
    page = chromium.open(base(collector), "#/queue/imports")
    page.wait_for(".charts .plot")

    def busy(document):
        for queue in document["queues"] if "queues" in document else [document]:
            queue.update(busy_workers=9, concurrency=9)
        return document

    page.page.route("**/api/v1/*", lambda route: route.fulfill(json=busy(route.fetch().json())))
    page.page.route("**/api/v1/queues/*", lambda route: route.fulfill(json=busy(route.fetch().json())))
    eventually("others", lambda: re.search(r"Busy workers of its servers\s*9 of 9, with other queues", page.text(".states-panel")))
    page.page.goto(base(collector) + "#/?sort=queue")
    page.wait_for("tr.row")
    assert page.page.locator("tr.row:has-text('imports') td.workers").inner_text().startswith("–")
    eventually("its own", lambda: page.page.locator("tr.row:has-text('emails') td.workers").inner_text() == "9/9")
    page.page.unroute_all(behavior="ignoreErrors")
    page.close()
