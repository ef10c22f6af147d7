"""Which queues the families from spans have: all that Redis or a server knows, and none that is long gone."""

from support.deadline import eventually, holds_for
from support.otlp import attributes, process_span, request
from support.redis_server import RedisServer

COUNT = "asynq_task_wait_duration_seconds_count"


def test_a_queue_of_redis_has_its_label_beyond_the_limit_and_loses_it_when_it_is_gone(tmp_path, start_collector):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "a", "b")
        collector = start_collector(options={
            "redis.url": server.url, "redis.interval": "100ms", "redis.look-ahead": 0, "metrics.queues-max": 1,
            "metrics.quantile-window": "1s"})
        eventually("a first scrape", lambda: collector.metrics().has("asynq_queue_size"))

        def observe(number: int, queue: str) -> None:
            span = process_span(number, queue, "t")
            span.attributes.extend(attributes(asynq__task__wait_seconds=2.0))
            collector.post(request(span))

        def counts() -> dict:
            return {queue: value for (queue, _), value in collector.metrics().by(COUNT, "queue", "task_type").items()}

        for number, queue in enumerate(["spans-only", "a", "b", "more"], start=1):
            observe(number, queue)
        assert counts() == {"spans-only": 1, "a": 1, "b": 1, "_other": 1}

        client.srem("asynq:queues", "a")
        eventually("a queue without spans leaves the page", lambda: "a" not in counts())
        eventually("one that only spans name as well", lambda: counts() == {"b": 1, "_other": 1})
        observe(5, "spans-only")
        assert counts() == {"spans-only": 1, "b": 1, "_other": 1}
        assert not any('queue="a"' in line for line in collector.get("/metrics").body.decode().splitlines())

        # While Redis is away nothing tells what is gone.
        observe(6, "spans-only")
        server.stop()
        before = counts()
        eventually("Redis is away", lambda: collector.metrics().value("asynq_redis_up") == 0)
        holds_for("what spans name stays", lambda: counts() == before, seconds=2)


def test_without_redis_the_queues_of_spans_stay(start_collector):
    """Nothing tells whether they exist; and one task an hour would be no increase of anything if they left in between."""
    collector = start_collector(options={"metrics.quantile-window": "1s"})
    span = process_span(1, "rare", "t")
    span.attributes.extend(attributes(asynq__task__wait_seconds=2.0))
    collector.post(request(span))
    holds_for("it stays", lambda: collector.metrics().value(COUNT, {"queue": "rare", "task_type": "t"}) == 1, seconds=2.5)
