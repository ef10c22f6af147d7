"""A terminal of a given size: tmux without a client, whose screen is read as text."""

import shlex
import subprocess
import tempfile
from pathlib import Path

from support.collector import environment


class Tmux:
    """One program in a terminal of its own. `with` ends it, and tmux."""

    def __init__(self, *command: object, columns: int = 80, rows: int = 24, env: dict[str, str] = {}):
        # Short: the path of a unix socket has 107 bytes at most.
        self._directory = tempfile.TemporaryDirectory(prefix="asynq-tmux-")
        self._socket = Path(self._directory.name) / "s"
        configuration = Path(self._directory.name) / "conf"
        configuration.write_text("set -g remain-on-exit on\nset -g status off\nset -sg escape-time 0\n")
        self._env = environment({"LC_ALL": "C.UTF-8", "TERM": "xterm-256color"} | env)
        # tmux gives its panes a TERM of its own.
        shown = [f"{name}={value}" for name, value in env.items()]
        program = shlex.join(["env", *shown, *map(str, command)])
        self._tmux("-u", "-f", configuration, "new-session", "-d", "-x", columns, "-y", rows, program)

    def __enter__(self) -> "Tmux":
        return self

    def __exit__(self, *_) -> None:
        self._tmux("kill-server")
        self._directory.cleanup()

    def _tmux(self, *arguments: object) -> str:
        command = ["tmux", "-S", self._socket, *map(str, arguments)]
        return subprocess.run(command, env=self._env, check=True, capture_output=True, text=True, encoding="utf-8").stdout

    def screen(self) -> list[str]:
        """The lines, without the blanks at their ends."""
        return [line.rstrip() for line in self._tmux("capture-pane", "-p").splitlines()]

    def text(self) -> str:
        return "\n".join(self.screen())

    def coloured(self) -> str:
        """With the escapes of colours and the like."""
        return self._tmux("capture-pane", "-p", "-e")

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: `q`, `Enter`, `Down`, `Escape`, `C-c`."""
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", columns, "-y", rows)

    def _ask(self, what: str) -> str:
        return self._tmux("display-message", "-p", f"#{{{what}}}").strip()

    @property
    def pid(self) -> int:
        return int(self._ask("pane_pid"))

    @property
    def child(self) -> int:
        """What a shell runs."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    @property
    def exit_code(self) -> int | None:
        """None while the program runs."""
        return int(self._ask("pane_dead_status") or 0) if self._ask("pane_dead") == "1" else None

    @property
    def is_restored(self) -> bool:
        """The alternate screen is left, and the cursor is there again; a terminal without a program has none."""
        return self._ask("alternate_on") == "0" and (self._ask("pane_dead") == "1" or self._ask("cursor_flag") == "1")

    def settings(self) -> str:
        """What `stty` says of the terminal."""
        with open(self._ask("pane_tty")) as terminal:
            return subprocess.run(["stty", "-a"], stdin=terminal, capture_output=True, text=True, check=True).stdout
