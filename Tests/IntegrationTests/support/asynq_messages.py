"""The protobuf messages that Asynq keeps in Redis, written from their field numbers."""

from support import wire


def _integer(number: int, value: int) -> bytes:
    return wire.varint(number << 3) + wire.varint(value)


def _text(number: int, value: str) -> bytes:
    return wire.delimited(number, value.encode())


def _timestamp(number: int, seconds: float) -> bytes:
    whole = int(seconds)
    return wire.delimited(number, _integer(1, whole) + _integer(2, int((seconds - whole) * 1e9)))


def server_info(host: str, pid: int, server_id: str, concurrency: int, queues: dict[str, int], status: str) -> bytes:
    served = b"".join(wire.delimited(5, _text(1, queue) + _integer(2, priority)) for queue, priority in queues.items())
    return (_text(1, host) + _integer(2, pid) + _text(3, server_id) + _integer(4, concurrency) + served
            + _text(7, status) + _integer(9, 0))


def worker_info(task_id: str, start: float) -> bytes:
    return _text(4, task_id) + _timestamp(8, start)


def scheduler_entry(entry_id: str, spec: str, task_type: str, next_tick: float, last_tick: float) -> bytes:
    return (_text(1, entry_id) + _text(2, spec) + _text(3, task_type) + _timestamp(6, next_tick) + _timestamp(7, last_tick))


def scheduler_enqueue_event(task_id: str, time: float) -> bytes:
    return _text(1, task_id) + _timestamp(2, time)


def task_message(task_type: str, task_id: str, queue: str, retried: int = 0, headers: dict[str, str] = {},
                 payload: bytes = b"", error: str = "", last_failed_at: int = 0) -> bytes:
    carried = b"".join(wire.delimited(15, _text(1, key) + _text(2, value)) for key, value in headers.items())
    return (_text(1, task_type) + wire.delimited(2, payload) + _text(3, task_id) + _text(4, queue) + _integer(6, retried)
            + _text(7, error) + _integer(11, last_failed_at) + carried)
