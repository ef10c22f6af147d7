"""The Redis user that docs/REDIS.md describes."""

import re

from support.programs import REPOSITORY

USER = "asynq-collector"
PASSWORD = "secret"
DOCUMENT = REPOSITORY / "docs" / "REDIS.md"


def documented_rules(of_sentinels: bool = False) -> list[str]:
    found = re.findall(r"^ACL SETUSER asynq-collector on >PASSWORD (.*)$", DOCUMENT.read_text(), re.MULTILINE)
    assert len(found) == 2, f"expected two lines 'ACL SETUSER asynq-collector on >PASSWORD …' in {DOCUMENT}"
    return found[int(of_sentinels)].split()


def allowed_commands() -> set[str]:
    """As Redis writes them in its statistics: `client|setname`."""
    return {rule[1:] for rule in documented_rules() if rule.startswith("+")}


def make_user(client, *more_rules: str) -> None:
    """Makes it anew, and forgets what was denied so far."""
    client.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", *documented_rules(), *more_rules)
    client.execute_command("ACL", "LOG", "RESET")


def assert_nothing_denied(client) -> None:
    denied = client.execute_command("ACL", "LOG")
    assert denied == [], f"expected Redis to deny the documented user nothing, got {denied}"
