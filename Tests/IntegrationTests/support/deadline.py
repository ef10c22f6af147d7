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


def holds_for(what: str, check: Callable[[], bool], seconds: float, every: float = 0.05) -> None:
    """Fails as soon as `check` is false within this time. For "nothing more happens"."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert check(), f"expected to stay true for {seconds} s: {what}"
        time.sleep(every)
