"""A redis-server of our own: private directory, unix socket and random port, no persistence."""

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import redis

from support.deadline import eventually
from support.ports import free_port


class RedisServer:
    def __init__(self, directory: Path, dump: Path | None = None, password: str | None = None,
                 flags: list[str] = [], program: str = "redis-server"):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.password = password
        self._flags = flags
        self._program = program
        self.port = free_port()
        self.socket = directory / "redis.sock"
        self._process: subprocess.Popen | None = None
        if dump is not None:
            shutil.copyfile(dump, directory / "dump.rdb")

    def __enter__(self) -> "RedisServer":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    @property
    def tcp_url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), password=self.password)

    def start(self, until_loaded: bool = True) -> "RedisServer":
        """Also starts it again after `stop`, on the same port, with what the dump holds."""
        # --save "" also keeps a SIGTERM from overwriting the dump.
        flags = ["--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.socket),
                 "--dir", str(self.directory), "--dbfilename", "dump.rdb", "--save", "", "--appendonly", "no"]
        if self.password:
            flags += ["--requirepass", self.password]
        flags += self._flags
        with open(self.directory / "redis.log", "ab") as log:
            self._process = subprocess.Popen([self._program, *flags], stdout=log, stderr=log)
        eventually(f"{self._program} answers PING", self._answers if until_loaded else self._listens)
        return self

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It hangs: connections stay open, new ones are taken by the kernel, nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def restart_if_dead(self) -> None:
        if not self._process:
            self.start()

    def log(self) -> str:
        return (self.directory / "redis.log").read_text(errors="replace")

    def _listens(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port)):
            return True

    def _answers(self) -> bool:
        assert self._process and self._process.poll() is None, self.log()
        try:
            with self.client() as client:
                return client.ping()
        except redis.RedisError:
            return False


def save(client: redis.Redis) -> None:
    """SAVE, asked for again while Redis refuses it because it writes a snapshot for a replica."""
    def is_saved() -> bool:
        try:
            return bool(client.save())
        except redis.ResponseError as error:
            if "Background save already in progress" in str(error):
                return False
            raise

    eventually("a snapshot", is_saved)
