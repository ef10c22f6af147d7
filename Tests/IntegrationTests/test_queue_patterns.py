"""Patterns of queue names that would make another matcher try for years, on names that anyone may choose."""

import pytest

from support import otlp
from support.deadline import eventually
from support.http_client import post_traces
from support.redis_server import RedisServer
from support.scrapes import after_scrapes

LONG = "a" * 1000 + "!"
SHORT = "emailnotificationsv2"


@pytest.mark.parametrize("pattern", ["^([a-z]+-?)+$", "^(a|a)+$", "(.*.*.*)*=x"])
def test_no_name_holds_the_receiver_or_the_thread_of_redis(start_collector, tmp_path, pattern):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", SHORT, LONG, "mail")
        collector = start_collector(options={
            "redis.url": server.url, "redis.interval": "100ms", "redis.queues.include": pattern})
        for number in range(20):
            # With an id and without a parent, so that the task is looked up where the pattern allows it.
            span = otlp.process_span(number, LONG, "t", attributes=otlp.attributes(
                messaging__system="asynq", messaging__destination__name=LONG + str(number), messaging__message__id="id"))
            assert post_traces(collector.tcp, otlp.request(span)).status == 200
        after_scrapes(collector, 3)
        expected = {"mail"} if pattern.startswith("^([a-z]") else set()
        eventually("only what matches", lambda: set(collector.metrics().by("asynq_queue_registered", "queue")) == expected)
