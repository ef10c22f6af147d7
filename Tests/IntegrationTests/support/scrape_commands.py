"""The table of a scrape's commands in docs/REDIS.md; the unit tests compare it with what is sent."""

from support.acl import DOCUMENT


def of_each(what: str) -> list[str]:
    """Names of the commands that are sent in each scrape for each `what`: scrape, node, server, scheduler, queue."""
    found = []
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and cells[1].isdigit() and cells[3] == what and not cells[4]:
            found.append(cells[2].strip("`").split(" ")[0])
    assert found, f"expected commands for each {what} in {DOCUMENT}"
    return found
