"""`/api/v1/overview`, `/api/v1/queues/{queue}` and the page's tables, with a real Redis behind them."""

import json
import re
import time
from urllib.parse import quote

import pytest

from support.asynq_messages import scheduler_entry, server_info
from support.deadline import eventually
from support.otlp import numbered_request
from support.scrapes import logged

STATES = ("pending", "active", "scheduled", "retry", "archived", "completed", "aggregating")


def start(start_collector, server, **options):
    return start_collector(options={"redis.url": server.url, "redis.interval": "1s", **options})


def overview(collector, query="") -> dict:
    answer = collector.get("/api/v1/overview" + query)
    assert answer.status == 200 and answer.media_type == "application/json"
    return json.loads(answer.body)


def enqueue(client, queue: str, count: int, age: float = 0) -> None:
    client.sadd("asynq:queues", queue)
    for number in range(count):
        client.hset(f"asynq:{{{queue}}}:t:{number}", mapping={
            "msg": b"", "state": "pending", "pending_since": int((time.time() - age) * 1e9)})
        client.lpush(f"asynq:{{{queue}}}:pending", number)


def queues_of(document: dict) -> dict[str, dict]:
    return {queue["queue"]: queue for queue in document["queues"]}


def test_the_overview_has_the_queues_as_redis_has_them_and_what_needs_attention_first(start_collector, redis):
    server, client = redis
    enqueue(client, "imports", 7)
    enqueue(client, "emails", 2)
    client.set("asynq:{imports}:paused", int(time.time()))
    collector = start(start_collector, server)
    document = eventually("both queues", lambda: len((d := overview(collector))["queues"]) == 2 and d["attention"] and d)
    assert document["redis"]["state"] == "read" and document["redis"]["error"] is None
    assert document["collector"]["redis"] == server.url and document["collector"]["interval_seconds"] == 1
    queues = queues_of(document)
    assert {state: queues["imports"][state] for state in STATES} == {**dict.fromkeys(STATES, 0), "pending": 7}
    assert queues["imports"]["paused"] is True and queues["emails"]["paused"] is False
    assert document["totals"]["pending"] == 9
    trouble = document["attention"][0]
    assert trouble["alert"] == "AsynqQueuePausedWithBacklog" and trouble["queue"] == "imports"
    assert trouble["severity"] == "info" and trouble["firing"] is False
    assert trouble["sentence"].startswith("imports has been paused for ") and trouble["sentence"].endswith("; 7 tasks wait")
    assert trouble["runbook"] == "asynqqueuepausedwithbacklog" and trouble["subject"] == "queue"
    assert queues["imports"]["trouble"] == "info" and queues["emails"]["trouble"] is None
    assert document["attention_total"] == 1
    # Every field of /api/v1/queues, with the same values.
    listed = {queue["queue"]: queue for queue in json.loads(collector.get("/api/v1/queues").body)}
    for name, queue in listed.items():
        assert {key: queues[name][key] for key in queue if key != "oldest_wait_seconds"} == \
            {key: value for key, value in queue.items() if key != "oldest_wait_seconds"}


def test_the_overview_has_rates_and_history_from_where_a_client_left_off(start_collector, redis):
    server, client = redis
    enqueue(client, "emails", 5)
    collector = start(start_collector, server)
    day = time.strftime("%Y-%m-%d", time.gmtime())

    def work() -> dict:
        for key in ("processed", "processed:" + day):
            client.incrby(f"asynq:{{emails}}:{key}", 10)
        return overview(collector)

    document = eventually("history", lambda: (d := work())["history"]["points"] >= 4 and d)
    history = document["history"]
    assert history["step"] == 1 and history["end"] - history["start"] == history["points"]
    columns = queues_of(document)["emails"]["history"]
    assert {len(column) for column in columns.values()} == {history["points"]}
    assert columns["pending"][-1] == 5 and sum(columns["completed"][1:]) > 0
    assert queues_of(document)["emails"]["completed_per_second"] > 0

    def newer() -> dict | None:
        later = overview(collector, f"?since={history['end']}")
        return later if later["history"]["points"] > 0 else None

    later = eventually("newer history", newer)
    assert later["history"]["start"] == history["end"]
    assert len(queues_of(later)["emails"]["history"]["pending"]) == later["history"]["points"] < history["points"] + 4


def test_a_client_that_has_the_document_gets_304_and_others_get_the_same_bytes(start_collector, redis):
    server, client = redis
    enqueue(client, "emails", 5)
    collector = start(start_collector, server, **{"redis.interval": "1h"})
    eventually("the queue", lambda: len(overview(collector)["queues"]) == 1)

    def unchanged() -> bool:
        first = collector.get("/api/v1/overview")
        again = collector.get("/api/v1/overview", {"If-None-Match": first.headers["ETag"]})
        assert again.status in (200, 304)
        if again.status == 200:
            return False
        assert again.body == b"" and again.headers["ETag"] == first.headers["ETag"]
        return True

    eventually("304", unchanged)
    packed = collector.get("/api/v1/overview", {"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.headers["Vary"] == "Accept-Encoding"


def test_a_document_is_made_anew_for_each_judgement_and_not_for_each_span(start_collector, redis):
    server, client = redis
    enqueue(client, "emails", 5)
    collector = start(start_collector, server, **{"redis.interval": "1h", "redis.look-interval": "0"})
    eventually("the queue", lambda: len(overview(collector)["queues"]) == 1)
    begin, tags, sent = time.monotonic(), [], 0
    while (passed := time.monotonic() - begin) < 6:
        collector.post(numbered_request(range(sent, sent := sent + 5)))
        tags.append(collector.get("/api/v1/overview").headers["ETag"])
        time.sleep(0.2)
    # Without news the state is judged every five seconds.
    assert len(set(tags)) <= 2 + passed / 5, tags
    eventually("the spans", lambda: overview(collector)["spans"]["accepted"] == sent)


def test_when_redis_goes_the_last_known_state_stays_with_its_age(start_collector, redis):
    server, client = redis
    enqueue(client, "emails", 5)
    collector = start(start_collector, server, **{"redis.interval": "200ms"})
    eventually("the queue", lambda: len(overview(collector)["queues"]) == 1)
    client.close()
    server.stop()
    document = eventually("a stale state", lambda: (d := overview(collector))["redis"]["state"] == "stale" and d)
    assert queues_of(document)["emails"]["pending"] == 5
    assert document["redis"]["error"] and document["redis"]["read_at"]
    first = eventually("a trouble", lambda: (d := overview(collector)["attention"]) and d)[0]
    assert first["alert"] == "AsynqRedisUnreachable" and first["subject"] == "redis"
    page = collector.get("/").body.decode()
    assert "Redis can&#39;t be read" in page or "Redis can't be read" in page
    assert "<bdi>emails</bdi>" in page and "What follows is what was read" in page
    # What machines read keeps its rules: absent, not frozen.
    assert collector.get("/api/v1/queues").status == 503
    assert not collector.metrics().has("asynq_queue_size")
    server.start()
    eventually("read again", lambda: overview(collector)["redis"]["state"] == "read")


def own_anchor(collector, queue: str) -> str:
    return json.loads(collector.get(f"/api/v1/queues/{queue}").body)["attention"][0]["runbook"]


@pytest.mark.parametrize("suffix, severity", [
    ("active", "warning"), ("lease", "warning"), ("scheduled", "warning"), ("retry", "warning"), ("archived", "warning"),
    ("completed", "info"), ("processed", "info"), ("failed", "info"), ("groups", "info")])
def test_a_key_that_can_not_be_read_is_named(start_collector, redis, suffix, severity):
    server, client = redis
    client.sadd("asynq:queues", "bad")
    client.hset(f"asynq:{{bad}}:{suffix}", "a", "b")
    collector = start(start_collector, server)
    bad = eventually("the trouble", lambda: (queue := queues_of(overview(collector)).get("bad")) and queue["trouble"] and queue)
    assert bad["trouble_sentence"].startswith(f"bad can't be read in full: asynq:{{bad}}:{suffix}: Redis: WRONGTYPE ")
    assert bad["trouble"] == severity


@pytest.mark.parametrize("query", ["name=a+b", "name=a%20b"])
def test_a_query_has_spaces_as_http_libraries_write_them(start_collector, redis, query):
    server, client = redis
    for name in ("a b", "a+b"):
        client.sadd("asynq:queues", name)
    collector = start(start_collector, server)
    eventually("two queues", lambda: len(overview(collector)["queues"]) == 2)
    assert json.loads(collector.get(f"/api/v1/queues?{query}").body)["queue"] == "a b"
    assert json.loads(collector.get("/api/v1/queues?name=a%2Bb").body)["queue"] == "a+b"
    assert json.loads(collector.get("/api/v1/queues/a+b").body)["queue"] == "a+b"
    assert json.loads(collector.get(f"/api/v1/scale?{query.replace('name', 'queue')}").body)["queue"] == "a b"
    client.srem("asynq:queues", "a b")
    eventually("it is gone", lambda: collector.get(f"/api/v1/queues?{query}").status == 404)


def test_a_queue_with_a_key_of_another_type_says_why_it_has_no_numbers(start_collector, redis):
    server, client = redis
    enqueue(client, "good", 1)
    client.sadd("asynq:queues", "bad")
    client.set("asynq:{bad}:pending", "x")
    collector = start(start_collector, server)
    bad = eventually("the trouble", lambda: (queue := queues_of(overview(collector)).get("bad")) and queue["trouble"] and queue)
    assert bad["trouble_sentence"].startswith("bad can't be read in full: asynq:{bad}:pending: Redis: WRONGTYPE ")
    assert bad["trouble"] == "warning" and own_anchor(collector, "bad") == "unreadable-keys"
    own = json.loads(collector.get("/api/v1/queues/bad").body)
    assert [trouble["sentence"] for trouble in own["attention"]] == [bad["trouble_sentence"]]
    client.delete("asynq:{bad}:pending")
    eventually("no trouble", lambda: queues_of(overview(collector))["bad"]["trouble"] is None)


def test_servers_and_cron_entries_that_can_not_be_read_are_not_none(start_collector, redis):
    server, client = redis
    enqueue(client, "emails", 3, age=3600)
    now = time.time()
    for number, info in enumerate((b"\x0a\x7f", b"")):
        client.zadd("asynq:servers", {f"asynq:servers:{{h:{number}:s}}": now + 600})
        client.set(f"asynq:servers:{{h:{number}:s}}", info or server_info("h", 7, "s", 10, {"reports": 1}, "active"))
    scheduler = "asynq:schedulers:{h:1:s}"
    client.rpush(scheduler, scheduler_entry("e", "@every 1h", "report", now + 1800, now - 1800))
    client.zadd("asynq:schedulers", {scheduler: now + 600})
    client.set("asynq:scheduler_history:e", "x")
    collector = start(start_collector, server)
    document = eventually("both troubles", lambda: len((d := overview(collector))["attention"]) >= 3 and d)
    sentences = [trouble["sentence"] for trouble in document["attention"]]
    assert any(one.startswith("The servers can't be read in full: asynq:servers:{h:0:s}: a ServerInfo: ") for one in sentences)
    assert any(one.startswith("The cron entries can't be read in full: asynq:scheduler_history:e: Redis: WRONGTYPE") for one in sentences)
    assert not {trouble["alert"] for trouble in document["attention"]} & {"AsynqQueueWithoutConsumers", "AsynqSchedulerNotEnqueueing"}
    assert queues_of(document)["emails"]["consumers"] is None and queues_of(document)["reports"]["consumers"] == 1
    assert [one["id"] for one in document["servers"]] == ["s"] and document["servers_problem"]
    assert [one["last_enqueued_at"] for one in document["cron"]] == [None] and document["cron_problem"]
    assert json.loads(collector.get("/api/v1/queues/emails").body)["servers"] is None
    page = collector.metrics()
    assert list(page.by("asynq_queue_consumers", "queue")) == ["reports"]
    for key in ("asynq:servers", "asynq:schedulers"):
        client.set(key, "x")
    document = eventually("neither is known", lambda: (d := overview(collector))["servers"] is None and d)
    assert document["cron"] is None and queues_of(document)["emails"]["consumers"] is None
    runbook = collector.get("/runbook").body.decode()
    for trouble in document["attention"]:
        assert f'id="{trouble["runbook"]}"' in runbook, trouble


def test_one_queue_is_found_by_its_name_as_people_read_it(start_collector, redis):
    server, client = redis
    for name in (b"a/b", b"\xff", "r\u202eb <script>".encode()):
        client.sadd("asynq:queues", name)
        client.lpush(b"asynq:{" + name + b"}:pending", "1")
    collector = start(start_collector, server)
    names = eventually("three queues", lambda: len(n := list(queues_of(overview(collector)))) == 3 and n)
    for name in names:
        answer = collector.get("/api/v1/queues/" + quote(name, safe=""))
        assert answer.status == 200
        document = json.loads(answer.body)
        assert document["queue"] == name and document["pending"] == 1
        assert len(document["history"]["pending"]) == document["history"]["points"]
    assert collector.get("/api/v1/queues/nothing").status == 404
    page = collector.get("/").body.decode()
    assert "<bdi>r\u202eb &lt;script&gt;</bdi>" in page and "<script>" not in page.replace('<script type="module"', "")


def test_a_trouble_is_logged_when_it_begins_and_when_it_ends(start_collector, redis):
    server, client = redis
    enqueue(client, "emails", 1)
    client.sadd("asynq:queues", "emails")
    collector = start(start_collector, server, **{"redis.interval": "200ms"})
    eventually("a first scrape", lambda: len(overview(collector)["queues"]) == 1)
    client.zadd("asynq:{emails}:archived", {f"dead-{n}": int(time.time()) for n in range(3)})
    began = eventually("the line", lambda: logged(collector, "trouble began"))
    assert [(line["alert"], line["queue"], line["severity"]) for line in began] == \
        [("AsynqDeadLetters", "emails", "warning")]
    assert re.match(r"emails: 3 dead letters in \d+ s", began[0]["what"]), began  # As long as it has been looking.


def test_without_redis_the_queues_of_spans_are_shown(start_collector, tempo):
    collector = start_collector(options={"redis.url": "none", "tempo.endpoint": tempo.endpoint})
    collector.post(numbered_request(range(10)))
    document = eventually("spans", lambda: (d := overview(collector))["spans"]["received"] == 10 and d)
    assert document["redis"]["state"] == "off" and document["spool"]["capacity_bytes"] == 2**30
    assert document["spans"]["accepted"] == 10 and document["spans"]["refused"] == {}
    assert document["looked_at"].endswith("Tempo and the spool")


@pytest.mark.parametrize("path", ["/", "/trace/0af7651916cd43dd8448eb211c80319c", "/metrics", "/api/v1/overview", "/nothing"])
def test_browsers_are_told_what_they_may_do(collector, path):
    headers = collector.get(path).headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_names_its_files_and_they_are_there(collector):

    page = collector.get("/").body.decode()
    files = re.findall(r'(?:src|href)="(assets/[^"]+)"', page)
    assert len(files) >= 3
    for file in files:
        answer = collector.get("/" + file)
        assert answer.status == 200 and "immutable" in answer.headers["Cache-Control"], file
