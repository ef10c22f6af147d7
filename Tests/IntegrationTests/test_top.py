"""`top`: what needs attention and the queues in a terminal, as tmux sees it, and as text."""

import json
import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support import asynq_messages
from support.collector import COLLECTOR, environment, run_once
from support.deadline import eventually
from support.ports import free_port
from support.redis_server import RedisServer
from support.status_page import PrefixProxy
from support.tmux import Tmux

HOSTILE = "evil\x1b[2J\x07‮name"
WIDE = "漢字の待ち行列"
NARROW, WIDE_SCREEN = (80, 24), (200, 50)


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        for queue in ("default", "emails", "imports", "reports"):
            client.sadd("asynq:queues", queue)
        for number in range(1234):
            client.rpush("asynq:{imports}:pending", f"i{number}")
        client.set("asynq:{imports}:paused", int(time.time()) - 1800)
        for number in range(7):
            task = f"e{number}"
            message = asynq_messages.task_message("email:send", task, "emails", error="smtp: 451 greylisted")
            client.hset(f"asynq:{{emails}}:t:{task}", mapping={"msg": message, "state": "archived"})
            client.zadd("asynq:{emails}:archived", {task: int(time.time())})
        yield server, client


@pytest.fixture
def collector(start_collector, redis):
    server, _ = redis
    started = start_collector(options={"redis.url": server.url, "redis.interval": "200ms"})
    eventually("the queues are read", lambda: overview(started)["queues"])
    return started


def overview(collector) -> dict:
    return json.loads(collector.get("/api/v1/overview").body)


def url(collector) -> str:
    return f"http://127.0.0.1:{collector.metrics_port}"


def top(collector, *flags: str, size: tuple[int, int] = NARROW, env: dict[str, str] = {}) -> Tmux:
    return Tmux(COLLECTOR, "top", "--url", url(collector), *flags, columns=size[0], rows=size[1], env=env)


def row(screen: list[str], queue: str) -> str:
    """Below the heading; empty where the queue is not there."""
    heading = next((number for number, line in enumerate(screen) if "QUEUE " in line), len(screen))
    return next((line for line in screen[heading + 1:] if queue in line.split()[:2]), "")


# --- Once ------------------------------------------------------------------------------------------------------------


def test_once_prints_a_frame_of_plain_text_and_ends(collector):
    ran = run_once("top", "--once", "--url", url(collector), env={"LC_ALL": "C.UTF-8"})
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("asynq-collector ") and "\x1b" not in ran.stdout
    assert max(map(len, lines)) <= 80
    assert row(lines, "imports").split()[-1] == "paused" and "1,234" in row(lines, "imports")
    assert row(lines, "emails").split()[-6] == "7", row(lines, "emails")


def test_without_utf_8_a_frame_is_ascii(collector, redis):
    redis[1].sadd("asynq:queues", WIDE)
    eventually("the queue is read", lambda: WIDE in [queue["queue"] for queue in overview(collector)["queues"]])
    plain = run_once("top", "--once", "--url", url(collector), env={"LC_ALL": "C", "COLUMNS": "160"})
    shown = run_once("top", "--once", "--url", url(collector), env={"LC_ALL": "C.UTF-8", "COLUMNS": "160"})
    assert plain.stdout.isascii() and "??????????????" in plain.stdout
    assert WIDE in shown.stdout


def test_once_json_is_the_document_of_the_api(collector):
    ran = run_once("top", "--once", "--json", "--url", url(collector))
    assert ran.returncode == 0, ran
    assert json.loads(ran.stdout).keys() == overview(collector).keys()
    assert {queue["queue"] for queue in json.loads(ran.stdout)["queues"]} == {"default", "emails", "imports", "reports"}


def test_json_without_once_is_refused():
    ran = run_once("top", "--json")
    assert ran.returncode == 2 and "--once" in ran.stderr, ran


def test_where_nothing_answers_it_ends_with_one_line():
    port = free_port()
    for flags in ([], ["--once"], ["--once", "--json"]):
        ran = run_once("top", *flags, "--url", f"http://user:s3cret@127.0.0.1:{port}")
        assert (ran.returncode, ran.stdout) == (1, ""), ran
        assert len(ran.stderr.splitlines()) == 1 and str(port) in ran.stderr and "s3cret" not in ran.stderr, ran


def test_it_asks_where_the_configuration_says_that_the_collector_is(tmp_path):
    for listen in (f"0.0.0.0:{free_port()}", f"unix://{tmp_path}/web.sock"):
        process = start_collector_on(listen)
        try:
            ran = eventually("an answer", lambda: (once := run_once("top", "--once", env={"ASYNQ_COLLECTOR_METRICS_LISTEN": listen}))
                             .returncode == 0 and once)
        finally:
            process.terminate()
            process.wait()
        assert "Redis is not read" in ran.stdout, ran


def start_collector_on(listen: str) -> subprocess.Popen:
    return subprocess.Popen([COLLECTOR, "run", "--redis-url", "none", "--otlp-listen", "none", "--otlp-socket", "none",
                             "--metrics-listen", listen], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("flags", [["--url", "ftp://host"], ["--url", "http://"], ["--frobnicate", "x"], ["surplus"]], ids=" ".join)
def test_wrong_flags_are_refused(flags):
    ran = run_once("top", "--once", *flags)
    assert (ran.returncode, ran.stdout) == (2, ""), ran


@pytest.mark.parametrize("keys", [{"metrics.bearer-token": "s3cret"}, {"metrics.username": "joe", "metrics.password": "s3cret"}], ids=str)
def test_it_gives_the_credentials_that_the_configuration_has(start_collector, keys):
    collector = start_collector(options=keys)
    flags = [f"--{key.replace('.', '-')}={value}" for key, value in keys.items()]
    ran = run_once("top", "--once", "--url", url(collector), *flags)
    assert ran.returncode == 0 and "Redis is not read" in ran.stdout, ran
    environment = {f"ASYNQ_COLLECTOR_{key.upper().replace('.', '_').replace('-', '_')}": value for key, value in keys.items()}
    assert run_once("top", "--once", "--json", "--url", url(collector), env=environment).returncode == 0
    for wrong in ([], ["--metrics-bearer-token=wrong"]):
        ran = run_once("top", "--once", "--url", url(collector), *wrong)
        assert ran.returncode == 1 and "401" in ran.stderr and "s3cret" not in ran.stderr and "wrong" not in ran.stderr, ran
    # Those of the address count more.
    if "metrics.password" in keys:
        ran = run_once("top", "--once", "--url", url(collector).replace("//", "//joe:s3cret@"), "--metrics-bearer-token=wrong")
        assert ran.returncode == 0, ran


def test_an_overview_that_is_as_it_was_is_not_sent_again(start_collector):
    collector = start_collector()
    with PrefixProxy(url(collector) + "/") as proxy, Tmux(COLLECTOR, "top", "--url", proxy.base) as terminal:
        eventually("a screen", lambda: "q quit" in terminal.screen()[-1])
        eventually("304", lambda: 304 in proxy.statuses)
        assert proxy.statuses[0] == 200
        eventually("it is not old", lambda: "updated" in terminal.screen()[0])


# --- Redis itself ----------------------------------------------------------------------------------------------------


def test_redis_itself_needs_no_collector(redis):
    server, _ = redis
    ran = run_once("top", "--once", "--redis-url", server.url, env={"LC_ALL": "C.UTF-8"})
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    assert "1,234" in row(ran.stdout.splitlines(), "imports")
    document = json.loads(run_once("top", "--once", "--json", "--redis-url", server.url).stdout)
    assert document["redis"]["state"] == "read" and len(document["queues"]) == 4


def test_one_look_at_redis_itself_tells_what_its_stamps_tell_and_does_not_say_that_all_is_well(tmp_path):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "orders")
        calm = run_once("top", "--once", "--redis-url", server.url, env={"LC_ALL": "C.UTF-8"})
        assert "Nothing needs attention so far" in calm.stdout and "✓" not in calm.stdout, calm
        assert "1 queue, 0 servers, 0 cron entries and Redis." in " ".join(calm.stdout.split()), calm
        for number in range(5):
            client.hset(f"asynq:{{orders}}:t:{number}", mapping={
                "msg": b"", "state": "pending", "pending_since": int((time.time() - 7200) * 1e9)})
            client.lpush("asynq:{orders}:pending", number)
        scheduler = "asynq:schedulers:{h:1:s}"
        entry = asynq_messages.scheduler_entry("e", "@every 1m", "report", time.time() - 6000, time.time() - 7000)
        client.rpush(scheduler, entry)
        client.zadd("asynq:schedulers", {scheduler: time.time() + 3600})
        document = json.loads(run_once("top", "--once", "--json", "--redis-url", server.url).stdout)
    firing = {trouble["alert"]: trouble["sentence"] for trouble in document["attention"] if trouble["firing"]}
    assert set(firing) == {"AsynqOldestPendingTooOld", "AsynqSchedulerEntryOverdue", "AsynqSchedulerNotEnqueueing"}
    assert firing["AsynqOldestPendingTooOld"] == "orders: the next task has been ready to run for 2 h; 5 tasks wait"
    assert document["attention_firing"] == 3 and document["looked_long_enough"] is False


def test_one_look_counts_in_full_what_scores_tell(tmp_path):
    three_hours_ago = int(time.time()) - 3 * 3600
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", "orders")
        for state in ("scheduled", "retry"):
            client.zadd(f"asynq:{{orders}}:{state}", {f"{state} 1": three_hours_ago, f"{state} 2": time.time() + 600})
        client.lpush("asynq:{orders}:active", "lost")
        client.zadd("asynq:{orders}:lease", {"lost": three_hours_ago, "outlived its task": three_hours_ago - 3600})
        scheduler = "asynq:schedulers:{h:1:s}"
        for number, (spec, ticked, interval) in enumerate((("@every 1m", 10, 60), ("@every 5m", 240, 300), ("@every 1h", 1200, 3600))):
            tick = time.time() - ticked
            client.rpush(scheduler, asynq_messages.scheduler_entry(f"e{number}", spec, "report", tick + interval, tick))
            client.zadd(f"asynq:scheduler_history:e{number}", {"an event": three_hours_ago})
        client.zadd("asynq:schedulers", {scheduler: time.time() + 3600})
        document = json.loads(run_once("top", "--once", "--json", "--redis-url", server.url).stdout)
        text = run_once("top", "--once", "--redis-url", server.url, env={"LC_ALL": "C.UTF-8", "COLUMNS": "160"}).stdout
    firing = [trouble["sentence"] for trouble in document["attention"] if trouble["firing"]]
    assert "orders: 1 scheduled task is due, and no server has moved it to pending for 3 h" in firing
    assert "orders: 1 retry task is due, and no server has moved it to pending for 3 h" in firing
    assert "orders: 1 task lost its worker, and no server has taken it back" in firing
    assert sum(sentence.endswith("ago, and no task was enqueued for 3 h") for sentence in firing) == 3, firing
    assert "!! orders: 1 scheduled task is due" in text and " ! orders: 1 task lost its worker" in text, text


@pytest.mark.parametrize("name, shown", [
    ("   ", r"\u{20}\u{20}\u{20}"), ("\u2800", r"\u{2800}"), ("\u00a0\u3000", r"\u{a0}\u{3000}"), ("", "(no name)"), ("a\nb", r"a\u{a}b"),
    ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\U0001f3f4gbeng"), ("葛\U000e0100城", "葛城")])
def test_every_name_can_be_seen(tmp_path, name, shown):
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", name)
        client.hset(f"asynq:{{{name}}}:t:1", mapping={"msg": b"", "state": "pending", "pending_since": int((time.time() - 7200) * 1e9)})
        client.lpush(f"asynq:{{{name}}}:pending", "1")
        ran = run_once("top", "--once", "--redis-url", server.url, env={"LC_ALL": "C.UTF-8", "COLUMNS": "120"})
    lines = ran.stdout.splitlines()
    assert any(line[3:].startswith(shown) for line in lines[-1:]), ran.stdout
    sentence = next(line for line in lines if "the next task has been ready" in line)
    assert sentence[3:].split(":")[0].strip(), ran.stdout


def test_json_of_another_program_is_not_shown_as_a_collector_without_queues():
    class LogIn(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"error":"please log in"}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), LogIn) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        ran = run_once("top", "--once", "--url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (ran.returncode, ran.stdout) == (1, ""), ran
    assert "another program" in ran.stderr, ran


def test_the_first_look_shows_what_was_read_however_long_its_recording_takes(tmp_path):
    """Keys of another type make the scrape log before its result is recorded, and many queues make recording it slow."""
    with RedisServer(tmp_path / "redis") as server, server.client() as client:
        client.sadd("asynq:queues", *(f"q{number}" for number in range(300)))
        client.set("asynq:{q1}:processed", "abc")
        for _ in range(10):
            ran = run_once("top", "--once", "--redis-url", server.url, env={"LC_ALL": "C.UTF-8"})
            assert ran.returncode == 0 and "was not read yet" not in ran.stdout and "Nothing is known" not in ran.stdout, ran
            assert "q1 can't be read in full" in ran.stdout and "q299" in ran.stdout, ran


def test_a_redis_that_does_not_answer_is_one_line():
    ran = run_once("top", "--once", "--redis-url", f"redis://:s3cret@127.0.0.1:{free_port()}")
    assert (ran.returncode, ran.stdout) == (1, ""), ran
    assert len(ran.stderr.splitlines()) == 1 and "Redis" in ran.stderr and "s3cret" not in ran.stderr, ran


def test_redis_and_a_collector_can_not_both_be_asked():
    ran = run_once("top", "--url", "http://127.0.0.1:1", "--redis-url", "redis://127.0.0.1:1")
    assert ran.returncode == 2, ran


def test_redis_itself_is_watched_too(redis):
    server, client = redis
    with Tmux(COLLECTOR, "top", "--redis-url", server.url) as terminal:
        eventually("the queues", lambda: "1,234" in row(terminal.screen(), "imports"))
        client.rpush("asynq:{imports}:pending", "one more")
        eventually("news", lambda: "1,235" in row(terminal.screen(), "imports"))
        terminal.press("q")
        eventually("the end", lambda: terminal.exit_code == 0)


# --- In a terminal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE_SCREEN], ids=str)
def test_a_screen_has_all_queues_and_the_keys(collector, size):
    with top(collector, size=size) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        screen = terminal.screen()
        assert len(screen) == size[1]
        assert screen[0].startswith("asynq-collector ") and "q quit" in screen[-1]
        heading = next(line for line in screen if "QUEUE" in line)
        assert ("p99" in heading) == (size == WIDE_SCREEN), heading
        for queue in ("default", "emails", "imports", "reports"):
            assert len(row(screen, queue)) <= size[0]
        if size == WIDE_SCREEN:
            assert "█" in row(screen, "imports")
        terminal.press("q")
        eventually("the end", lambda: terminal.exit_code == 0)
        assert terminal.is_restored


def test_it_follows_the_collector(collector, redis):
    with top(collector) as terminal:
        eventually("the queues", lambda: "1,234" in row(terminal.screen(), "imports"))
        redis[1].rpush("asynq:{imports}:pending", "one more")
        eventually("news", lambda: "1,235" in row(terminal.screen(), "imports"))


def test_a_queue_is_found_and_opened(collector):
    with top(collector) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        terminal.press("/", "m", "a", "i", "l")
        eventually("the filter", lambda: "filter: mail_" in terminal.screen()[-1] and not row(terminal.screen(), "imports"))
        terminal.press("Enter")
        eventually("the keys again", lambda: "1 of 4 queues" in terminal.screen()[-1])
        terminal.press("Enter")
        eventually("the queue", lambda: "esc back" in terminal.screen()[-1] and "7 dead" in terminal.text())
        eventually("its dead letters", lambda: "DEAD LETTERS" in terminal.text() and "smtp: 451 greylisted" in terminal.text())
        terminal.press("Escape")
        eventually("the list", lambda: "1 of 4 queues" in terminal.screen()[-1])
        terminal.press("Escape")
        eventually("all queues", lambda: "4 queues" in terminal.screen()[-1] and "of" not in terminal.screen()[-1].split("4")[0][-5:])
        terminal.press("?")
        eventually("the help", lambda: "Press any key to go back; q quits." in terminal.text())
        terminal.press("Down")
        eventually("the list again", lambda: row(terminal.screen(), "reports"))


def names(screen: list[str]) -> list[str]:
    known = ("default", "emails", "imports", "reports")
    heading = next(number for number, line in enumerate(screen) if "QUEUE" in line)
    return [next(word for word in line.split() if word in known) for line in screen[heading + 1:] if any(name in line.split() for name in known)]


def test_the_order_is_chosen_and_the_selection_stays_on_its_queue(collector):
    with top(collector) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        terminal.press("s")
        eventually("by name", lambda: terminal.screen()[-1].endswith("4 queues by name"))
        assert names(terminal.screen()) == ["default", "emails", "imports", "reports"]
        terminal.press("s")
        eventually("by pending", lambda: terminal.screen()[-1].endswith("by pending"))
        assert names(terminal.screen())[0] == "imports"
        terminal.press("Home", "Enter")
        eventually("the selected queue", lambda: "paused" in terminal.text() and "esc back" in terminal.screen()[-1])
        assert "imports" in terminal.screen()[4]


def test_it_takes_the_size_of_the_terminal(collector):
    with top(collector) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        terminal.resize(*WIDE_SCREEN)
        eventually("more columns", lambda: len(terminal.screen()) == 50 and "p99" in terminal.text())
        terminal.resize(40, 10)
        eventually("a small one", lambda: len(terminal.screen()) == 10 and terminal.screen()[0].startswith("asynq-collector"))
        terminal.resize(*NARROW)
        eventually("as before", lambda: len(terminal.screen()) == 24 and row(terminal.screen(), "reports"))


def test_foreign_text_stays_text(collector, redis):
    for name in (HOSTILE, WIDE):
        redis[1].sadd("asynq:queues", name)
    with top(collector, size=WIDE_SCREEN) as terminal:
        eventually("the queues", lambda: "evil\\u{1b}[2J" in terminal.text() and WIDE in terminal.text())
        screen = terminal.screen()
        assert screen[0].startswith("asynq-collector ")
        heading = next(line for line in screen if "QUEUE" in line)
        wide = next(line for line in screen if WIDE in line)
        # A wide character takes two cells: the columns stand below their titles.
        assert wide.index("0") + len(WIDE) == heading.index("PENDING") + len("PENDING") - 1


def test_colours_are_there_unless_they_are_not_wanted(collector):
    with top(collector) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        assert "\x1b[31m" in terminal.coloured() or "\x1b[33m" in terminal.coloured() or "\x1b[1m\x1b[31m" in terminal.coloured()
    with top(collector, env={"NO_COLOR": "1"}) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        assert not [code for code in ("[31m", "[32m", "[33m", "[36m") if code in terminal.coloured()]


def test_the_last_state_stays_when_the_collector_dies(collector, tmp_path):
    with top(collector) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        collector.kill()
        eventually("it is said", lambda: "connection lost, last data " in terminal.screen()[0])
        assert "1,234" in row(terminal.screen(), "imports")
        collector.start()
        eventually("it is back", lambda: "updated" in terminal.screen()[0])


def test_redis_that_dies_leaves_its_last_state(collector, redis):
    with top(collector) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        redis[0].stop()
        eventually("it is said", lambda: "can't be read since" in terminal.screen()[1])
        assert "1,234" in row(terminal.screen(), "imports")


@pytest.mark.parametrize("name, code", [("SIGINT", 0), ("SIGTERM", 0), ("SIGHUP", 0), ("SIGQUIT", 0),
                                        ("SIGSEGV", 139), ("SIGABRT", 134), ("SIGILL", 132)])
def test_whatever_ends_it_the_terminal_is_given_back(collector, name, code):
    script = f"{COLLECTOR} top --url {url(collector)}; echo ended $?; stty -a; read line"
    with Tmux("sh", "-c", script) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        assert not terminal.is_restored and "-icanon" in terminal.settings() and "-echo " in terminal.settings()
        os.kill(terminal.child, getattr(signal, name))
        eventually("the end", lambda: f"ended {code}" in terminal.text() and "icanon" in terminal.text())
        settings = terminal.text().split("ended")[1].split()
        assert terminal.is_restored and "icanon" in settings and "echo" in settings, settings


def test_ctrl_c_ends_it(collector):
    with top(collector) as terminal:
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        terminal.press("C-c")
        eventually("the end", lambda: terminal.exit_code == 0)
        assert terminal.is_restored


def test_a_shell_gets_its_terminal_back_and_again(collector):
    command = f"{COLLECTOR} top --url {url(collector)}"
    with Tmux("bash", "--norc", "-i", env={"PS1": "prompt>"}) as terminal:
        eventually("the shell", lambda: "prompt>" in terminal.text())
        terminal.press(command, "Enter")
        eventually("the queues", lambda: row(terminal.screen(), "reports"))
        terminal.press("C-z")
        eventually("the shell", lambda: "Stopped" in terminal.text() and terminal.is_restored)
        assert " icanon" in terminal.settings() or "-icanon" in terminal.settings()  # bash edits lines by itself
        terminal.press("fg", "Enter")
        eventually("the queues again", lambda: row(terminal.screen(), "reports") and not terminal.is_restored)
        terminal.press("q")
        eventually("the shell again", lambda: terminal.is_restored and "prompt>" in terminal.text())


def test_a_dumb_terminal_gets_frames_of_plain_text(collector):
    with top(collector, env={"TERM": "dumb"}, size=(80, 60)) as terminal:
        eventually("two frames", lambda: terminal.text().count("asynq-collector ") >= 2)
        assert "\x1b[3" not in terminal.coloured() and terminal.is_restored
        terminal.press("C-c")
        eventually("the end", lambda: terminal.exit_code is not None)


def test_nothing_is_sent_while_nothing_changes(start_collector):
    """Over ssh every byte counts: what is drawn differs from what was there."""
    collector = start_collector()
    with top(collector) as terminal:
        eventually("a screen", lambda: "q quit" in terminal.screen()[-1])
        written = bytes_written(terminal.pid)
        time.sleep(5)
        # The line with the ages, and no more.
        assert 0 <= bytes_written(terminal.pid) - written < 3000


def bytes_written(pid: int) -> int:
    with open(f"/proc/{pid}/io") as counters:
        return next(int(line.split()[1]) for line in counters if line.startswith("wchar"))
