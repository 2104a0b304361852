"""Each example, run as its docstring says: whole, and by role in processes of their own; the transcript has to be true.

The processes of one test run side by side. A transcript is compared speaker by speaker (the first word of a line): what
one says comes in order, how two interleave is theirs.
"""

from __future__ import annotations

import ast
import os
import random
import re
import selectors
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py"))
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}

#: Seconds that one process may take.
LONGEST = 20.0
#: A whole example finds its own port.
ANY = "tcp://127.0.0.1:*"

_ports: set[int] = set()


def free_port() -> int:
    """A port that nobody has, below those that the system gives away by itself."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            if port not in _ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                _ports.add(port)
                return port


def at(port: int) -> str:
    return f"tcp://127.0.0.1:{port}"


class Run:
    """An example in a process of its own."""

    def __init__(self, name: str, *arguments: object) -> None:
        command = [sys.executable, "-W", "error::ResourceWarning", f"examples/{name}.py", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self._said = b""

    def until(self, text: str) -> None:
        """Read its output until it has said `text`."""
        deadline = monotonic() + LONGEST
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while text.encode() not in self._said:
                assert selector.select(deadline - monotonic()), f"it never said {text!r}, but {self._said!r}"
                chunk = self.process.stdout.read(65_536)
                assert chunk, f"it ended without saying {text!r}: {self._said!r}"
                self._said += chunk

    def lines(self) -> list[str]:
        """What it said in all, once it has ended by itself, well and without complaint."""
        said, complaint = self.process.communicate(timeout=LONGEST)
        assert not self.process.returncode, complaint.decode()
        assert not complaint, complaint.decode()
        return (self._said + said).decode().splitlines()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def interrupted(self, number: int = signal.SIGTERM) -> list[str]:
        """What it said in all, when it is told to end by a signal and does."""
        self.process.send_signal(number)
        return self.lines()


Runner = Callable[..., Run]


@pytest.fixture
def run() -> Iterator[Runner]:
    """Start examples; whatever still runs at the end of the test is killed."""
    runs: list[Run] = []

    def start(name: str, *arguments: object) -> Run:
        runs.append(Run(name, *arguments))
        return runs[-1]

    yield start
    for one in runs:
        if one.process.poll() is None:
            one.kill()
        one.process.stdout.close()
        one.process.stderr.close()


def transcript(name: str, number: int = 0) -> list[str]:
    """What the docstring's run of that number, whole and with default ports, is said to print."""
    text = ast.get_docstring(ast.parse((ROOT / "examples" / f"{name}.py").read_text()))
    paragraphs = re.findall(r"^    \$ .*\n((?:    (?!\$).*\n)+)", text, re.MULTILINE)
    return [line.strip() for line in paragraphs[number].splitlines()]


def assert_true(told: list[str], said: list[str]) -> None:
    """Each speaker said what the transcript tells of him, in that order; where it has ``...`` there is more."""
    for speaker in {line.split()[0] for line in told} - {"..."}:
        words = [line for line in said if line.split()[0] == speaker]
        expected = [line for line in told if line.split()[0] == speaker]
        if "..." in told:
            found = iter(words)
            assert all(line in found for line in expected), (expected, words)
        else:
            assert words == expected


# -- PAIR ------------------------------------------------------------------------------------------


def test_pair_says_what_it_likes_either_way_and_refuses_a_third(run):
    address = at(free_port())
    whole = run("pair", "--bind", ANY, "--interval", 0.02)
    client = run("pair", "client", "--connect", address)
    server = run("pair", "server", "--bind", address, "--interval", 0.02)
    told = transcript("pair")
    assert_true(told, whole.lines())
    assert_true(told[1:], server.lines() + client.lines())


def test_ping_queues_what_is_not_read_yet_and_shows_its_bound(run):
    address, pace = at(free_port()), ("--interval", 0.005, "--every", 0.03)
    whole = run("ping", "--bind", ANY, *pace, "--high-water-mark", 7)
    client = run("ping", "client", "--connect", address, *pace)
    server = run("ping", "server", "--bind", address, *pace)
    bound, *told = transcript("ping")
    said = whole.lines()
    assert bound == "bound: 8 pings fit while nobody reads (2 queues of 4); then send waits"
    assert said[0] == "bound: 14 pings fit while nobody reads (2 queues of 7); then send waits"
    assert_true(told, said[1:])
    assert_true(told, server.lines() + client.lines())


def test_structured_gives_dicts_for_dicts(run):
    address = at(free_port())
    whole = run("structured", "--bind", ANY)
    server = run("structured", "server", "--bind", address)
    client = run("structured", "client", "--connect", address)
    assert_true(transcript("structured"), whole.lines())
    assert_true(transcript("structured"), server.lines())
    assert client.lines() == []


def test_filter_stores_one_message_an_interval_and_counts_the_others(run, tmp_path):
    address, path = at(free_port()), tmp_path / "orders.sqlite"
    whole = run("filter", "--bind", ANY)
    server = run("filter", "server", "--bind", address, "--database", path)
    client = run("filter", "client", "--connect", address)
    assert_true(transcript("filter"), whole.lines())
    assert_true(transcript("filter"), server.lines())
    assert client.lines() == []
    database = sqlite3.connect(path)
    assert database.execute("SELECT apples FROM orders").fetchall() == [(number,) for number in range(0, 50, 5)]
    database.close()


# -- REQUEST ---------------------------------------------------------------------------------------


def test_request_goes_to_two_servers_in_turn(run):
    ports = [free_port() for _ in range(4)]
    whole = run("request", "--bind", *map(at, ports[:2]))
    client = run("request", "client", "--connect", *map(at, ports[2:]))
    servers = [run("request", "server", "--bind", at(port)) for port in ports[2:]]
    assert_true(with_ports("request", ports[:2]), whole.lines())
    assert_true(with_ports("request", ports[2:]), client.lines())
    assert [server.interrupted() for server in servers] == [[], []]


def with_ports(name: str, ports: list[int]) -> list[str]:
    """The transcript, with these ports in the place of the example's own, which stand there in this order."""
    told = transcript(name)
    defaults = list(dict.fromkeys(re.findall(r"\b55\d\d\b", "\n".join(told))))
    renamed = dict(zip(defaults, map(str, ports), strict=True))
    return [re.sub(r"\b55\d\d\b", lambda found: renamed[found[0]], line) for line in told]


def test_many_callers_share_one_client_and_the_second_is_answered_first(run):
    address = at(free_port())
    whole = run("many_callers", "--bind", ANY)
    client = run("many_callers", "client", "--connect", address)
    server = run("many_callers", "server", "--bind", address)
    assert whole.lines() == transcript("many_callers")
    assert client.lines() == transcript("many_callers")
    assert server.interrupted() == []


def test_recover_goes_on_when_its_server_is_killed_and_started_again(run):
    address = at(free_port())
    whole = run("recover", "--bind", at(free_port()))
    client = run("recover", "client", "--connect", address)
    first = run("recover", "server", "--bind", address, "--name", "first")
    client.until("Hello 2")
    first.kill()
    second = run("recover", "server", "--bind", address, "--name", "second")
    said = client.lines()
    assert [line.partition(" ->")[0] for line in said] == [f"client: Hello {number}" for number in range(1, 7)]
    assert said[0].endswith("World from the first server")
    assert said[-1].endswith("World from the second server")
    assert second.interrupted() == []
    assert whole.lines() == transcript("recover")


def test_farm_answers_everything_and_its_servers_end_by_themselves(run):
    ports = sorted(free_port() for _ in range(8))  # as they stand in the transcript
    whole = run("farm", "--bind", *map(at, ports[:4]))
    client = run("farm", "client", "--connect", *map(at, ports[4:]), "--callers", 3)
    servers = [run("farm", "server", "--bind", at(port)) for port in ports[4:]]
    assert_true(with_ports("farm", ports[:4]), whole.lines())
    assert_farmed(client.lines(), ports[4:])
    assert [server.lines() for server in servers] == [[f"server {port}: served 5, leaving"] for port in ports[4:]]


def test_farm_loses_no_request_of_many_callers_while_its_servers_leave(run):
    ports = [free_port() for _ in range(4)]
    assert_farmed(run("farm", "--bind", *map(at, ports), "--callers", 7).lines(), ports)


def assert_farmed(said: list[str], ports: list[int]) -> None:
    numbers = sorted(int(number) for line in said for number in re.findall(r"request (\d+) served", line))
    assert numbers == list(range(1, 21))
    assert said[-1] == "client: 20 answered: " + ", ".join(f"5 by {port}" for port in sorted(ports))


# -- PUB and SUB, PUSH and PULL --------------------------------------------------------------------


def test_weather_averages_what_two_stations_publish(run):
    ports = [free_port() for _ in range(4)]
    whole = run("weather", "--bind", *map(at, ports[:2]), "--interval", 0.01, "--count", 20)
    subscriber = run("weather", "subscriber", "--connect", *map(at, ports[2:]))
    stations = [run("weather", "publisher", "--bind", at(port), "--interval", 0.01) for port in ports[2:]]
    assert_average(subscriber.lines(), ports[2:], 5)
    assert [station.interrupted(signal.SIGINT) for station in stations] == [[], []]
    said = whole.lines()
    assert_average(said, ports[:2], 20)
    assert all(any(line.endswith(f"says station {port}") for line in said) for port in ports[:2])


def assert_average(said: list[str], ports: list[int], count: int) -> None:
    updates = [re.fullmatch(r"subscriber: 10001 has (-?\d+) degrees, says station (\d+)", line) for line in said[:-1]]
    assert len(updates) == count
    assert {int(update[2]) for update in updates} <= set(ports)
    average = sum(int(update[1]) for update in updates) / count
    told = re.match(rf"subscriber: (-?\d+\.\d) degrees on average of {count} updates, ", said[-1])
    assert float(told[1]) == pytest.approx(average, abs=0.051)


def test_pipeline_shares_the_work_evenly_but_not_the_results(run):
    work, results, small = at(free_port()), at(free_port()), ("--count", 2000)
    whole = run("pipeline", "--work", ANY, "--results", ANY)
    mixed = run("pipeline", "--work", ANY, "--results", ANY, "--shuffle", *small)
    consumers = [run("pipeline", "consumer", "--name", n, "--work", work, "--results", results) for n in (1, 2)]
    producer = run("pipeline", "producer", "--work", work, *small)
    collector = run("pipeline", "collector", "--results", results)
    assert whole.lines() == transcript("pipeline", 0)
    assert tallies(collector.lines()) == [(1000, 0), (1000, 1000)]
    (took_1, passed_1), (took_2, passed_2) = tallies(mixed.lines())
    assert (took_1, took_2, passed_1 + passed_2) == (1000, 1000, 1000)
    assert passed_1 > 300 < passed_2
    assert [role.lines() for role in (producer, *consumers)] == [[], [], []]


def tallies(said: list[str]) -> list[tuple[int, int]]:
    """What each consumer took and passed on, the one that passed on less first."""
    found = re.findall(r"consumer \d took (\d+) numbers, of which it passed on (\d+)", "\n".join(said))
    return sorted(((int(took), int(passed)) for took, passed in found), key=lambda tally: tally[1])


# -- devices ---------------------------------------------------------------------------------------


def ports_of(*addresses: str) -> list[str]:
    return [address.rpartition(":")[2] for address in addresses]


def reads_two_sockets(start):
    """Three processes, the worker as `start` starts it, and the whole."""
    options = ("--commands", at(free_port()), "--updates", at(free_port()))
    whole = start("--commands", ANY, "--updates", ANY)
    worker = start("worker", *options)
    publisher = start("publisher", *options)
    commander = start("commander", *options)
    assert commander.lines() == []
    said = worker.lines()
    assert [line for line in said if "topic" not in line] == [*["command: Continue"] * 3, "command: Exit"]
    numbers = [line for line in said if line.startswith("topic 9: number ")]
    assert len(numbers) + 4 == len(said)
    assert publisher.interrupted(signal.SIGINT) == [], "it went on"
    return whole.lines()


def test_poller_reads_two_sockets_until_a_command_ends_it(run):
    assert_true(transcript("poller"), reads_two_sockets(lambda *args: run("poller", *args)))


def test_callbacks_are_called_for_two_sockets_until_one_ends_it(run):
    assert_true(transcript("callbacks"), reads_two_sockets(lambda *args: run("callbacks", *args)))


def test_queue_shares_requests_and_can_be_watched(run):
    where = [at(free_port()) for _ in range(3)]
    options = [word for pair in zip(("--clients", "--servers", "--watchers"), where, strict=True) for word in pair]
    whole = run("queue", "--clients", ANY, "--servers", ANY, "--watchers", ANY)
    device = run("queue", "queue", *options)
    device.until("queue: clients")
    watcher = run("queue", "watcher", *options)
    server = run("queue", "server", "--name", 7, *options)
    client = run("queue", "client", *options)
    assert client.lines() == [f"client: Hello {n} -> World from server 7" for n in (1, 2, 3, 4)]
    assert server.interrupted() == []
    assert device.interrupted() == [
        "queue: clients at {}, servers at {}, watchers at {}".format(*ports_of(*where)),
        "queue: 4 requests, 4 replies",
    ]
    watcher.kill()
    assert_true(transcript("queue")[1:], whole.lines()[1:])


def test_forwarder_passes_on_what_is_asked_for(run):
    front, back = at(free_port()), at(free_port())
    options = ("--publishers", front, "--subscribers", back)
    whole = run("forwarder", "--publishers", ANY, "--subscribers", ANY)
    publishers = [run("forwarder", "publisher", "--name", name, *options) for name in (1, 2)]
    device = run("forwarder", "forwarder", *options)
    subscriber = run("forwarder", "subscriber", *options)
    assert sorted(subscriber.lines()) == [line for line in transcript("forwarder") if line.startswith("subscriber")]
    assert [publisher.lines() for publisher in publishers] == [[], []]
    assert device.interrupted() == ["forwarder: publishers at {}, subscribers at {}".format(*ports_of(front, back))]
    assert whole.lines()[1:] == transcript("forwarder")[1:]


def test_streamer_shares_work_evenly(run):
    front, back = at(free_port()), at(free_port())
    options = ("--feeders", front, "--workers", back)
    whole = run("streamer", "--feeders", ANY, "--workers", ANY)
    device = run("streamer", "streamer", *options)
    worker = run("streamer", "worker", *options)
    feeder = run("streamer", "feeder", *options)
    worker.until("".join(f"worker-1: #{number}\n" for number in range(10)))
    assert feeder.lines() == []
    worker.kill()
    assert device.interrupted() == ["streamer: feeders at {}, workers at {}".format(*ports_of(front, back))]
    assert_true(transcript("streamer")[1:], whole.lines()[1:])


def test_background_devices_run_in_processes_of_their_own(run):
    sides = ("--feeders", "--workers", "--clients", "--servers")
    options = [word for side in sides for word in (side, at(free_port()))]
    whole = run("background", *[word for side in sides for word in (side, ANY)])
    serving = run("background", "devices", *options)
    worker, server = run("background", "worker", *options), run("background", "server", *options)
    feeder, client = run("background", "feeder", *options), run("background", "client", *options)
    assert client.lines() == [f"client: Hello {number} -> World" for number in (1, 2, 3)]
    assert feeder.lines() == []
    worker.until("".join(f"worker-1: #{number}\n" for number in range(10)))
    assert_true(transcript("background"), whole.lines())
    assert server.interrupted() == []
    serving.kill()


# -- all of them -----------------------------------------------------------------------------------


def test_each_example_is_short_listed_and_tested():
    listed = re.findall(r"^\| \[(\w+)\.py\]\(\1\.py\) \| .+ \|$", (ROOT / "examples" / "README.md").read_text(), re.M)
    assert sorted(listed) == [path.stem for path in EXAMPLES]
    for path in EXAMPLES:
        tree = ast.parse(path.read_text())
        begin = tree.body[0].end_lineno
        lines = [line for line in path.read_text().splitlines()[begin:] if line.strip()]
        assert len(lines) <= 70, f"{path.name}: {len(lines)} lines of code"
        assert f'run("{path.stem}"' in Path(__file__).read_text()
