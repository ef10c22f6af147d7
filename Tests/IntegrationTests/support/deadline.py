"""Polling instead of sleeping."""

import time
from typing import Callable, TypeVar

T = TypeVar("T")

# Longer than anything takes, however busy the machine is: a wait that needs all of it has failed.
SECONDS = 40


def eventually(what: str, check: Callable[[], T], seconds: float = SECONDS, every: float = 0.03) -> T:
    """The first truthy result of `check`. Until the deadline, a falsy result or an AssertionError means "not yet"."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result, problem = check(), None
        except (AssertionError, OSError) as error:
            result, problem = None, error
        if result:
            return result
        if time.monotonic() > deadline:
            seen = f"last result: {result!r}" if problem is None else f"last problem: {problem}"
            raise AssertionError(f"expected within {seconds} s: {what}; {seen}") from problem
        time.sleep(every)


def fast_enough(what: str, seconds: float, attempt: Callable[[], float], attempts: int = 5) -> None:
    """At least one of several attempts, each of which says how long it took, is as fast as this on a machine that has time
    for it. Where other work takes the processors, an attempt may last as much longer as plain computing lasted just then."""
    took: list[str] = []
    for _ in range(attempts):
        before = _slowdown()
        duration = attempt()
        slowdown = max(before, _slowdown())
        if duration <= seconds * slowdown:
            return
        took.append(f"{duration:.3f} s while computing took {slowdown:.1f} times its time")
    raise AssertionError(f"expected {what} within {seconds} s, it took " + ", ".join(took))


def _slowdown(cpu_seconds: float = 0.02) -> float:
    """How much longer than its own time a piece of computing takes now: 1 on a machine that has nothing else to do."""
    began, cpu_began = time.monotonic(), time.thread_time()
    while time.thread_time() - cpu_began < cpu_seconds:
        sum(range(1000))
    return max(1.0, (time.monotonic() - began) / (time.thread_time() - cpu_began))


def seconds_of(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def holds_for(what: str, check: Callable[[], bool], seconds: float, every: float = 0.05) -> None:
    """Fails as soon as `check` is false within this time. For "nothing more happens"."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert check(), f"expected to stay true for {seconds} s: {what}"
        time.sleep(every)
