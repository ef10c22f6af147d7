"""Numbered spans posted without pause, with a record of what was acknowledged."""

import http.client
import threading

from grpc import StatusCode

from support import grpc_client
from support.http_client import Connection, Endpoint, encoded
from support.otlp import numbered_request

SPANS_PER_REQUEST = 10


class Load:
    """Clients that post until told to stop or until nobody answers any more.

    Each has a range of numbers of its own, so that no span is ever posted twice.
    """

    def __init__(self, endpoints: list[Endpoint], first_number: int = 0):
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._next = first_number
        self.acknowledged: set[int] = set()
        self.unanswered: set[int] = set()
        self.answers: list[int] = []
        self._threads = [threading.Thread(target=self._run, args=(endpoint,), daemon=True) for endpoint in endpoints]
        for thread in self._threads:
            thread.start()

    @property
    def next_number(self) -> int:
        return self._next

    def stop(self) -> None:
        self._stop.set()
        self.wait()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "expected every client to get an answer or an error within 60 s"

    def _take_numbers(self) -> range:
        with self._lock:
            numbers = range(self._next, self._next + SPANS_PER_REQUEST)
            self._next = numbers.stop
            return numbers

    def _run(self, endpoint: Endpoint) -> None:
        connection = Connection(endpoint)
        while not self._stop.is_set():
            numbers = self._take_numbers()
            try:
                answer = connection.ask("POST", "/v1/traces", *encoded(numbered_request(numbers)))
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.unanswered.update(numbers)
                if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
                    return
                continue
            self.answers.append(answer.status)
            if answer.status == 200:
                self.acknowledged.update(numbers)
            else:
                self._stop.wait(0.05)
        connection.close()


class GRPCLoad(Load):
    """The same by gRPC. `answers` holds the names of the codes that the clients saw."""

    def _run(self, endpoint: Endpoint) -> None:
        unavailable_in_a_row = 0
        with grpc_client.client(endpoint) as sender:
            while not self._stop.is_set() and unavailable_in_a_row < 20:
                numbers = self._take_numbers()
                outcome = sender.export(numbered_request(numbers))
                self.answers.append(outcome.code.name)
                if outcome.code == StatusCode.OK:
                    self.acknowledged.update(numbers)
                    unavailable_in_a_row = 0
                else:
                    # gRPC does not tell a refused connection from one that was cut off.
                    self.unanswered.update(numbers)
                    unavailable_in_a_row += 1
                    self._stop.wait(0.05)
