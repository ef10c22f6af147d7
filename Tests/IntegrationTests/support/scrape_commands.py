"""The table of a scrape's commands in docs/REDIS.md; the unit tests compare it with what is sent."""

from typing import NamedTuple

from support.acl import DOCUMENT


class ScrapeCommand(NamedTuple):
    name: str
    # What it is sent for: scrape, node, server, scheduler, queue, …
    each: str
    # When it is sent, in words; empty for in each scrape.
    only: str


def documented() -> list[ScrapeCommand]:
    found = []
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and cells[1].isdigit():
            found.append(ScrapeCommand(cells[2].strip("`").split(" ")[0], cells[3], cells[4]))
    assert found, f"expected a table of commands in {DOCUMENT}"
    return found
