"""The devices as programs, and the monitor of one."""

from __future__ import annotations

import os
import re
import signal

import pytest
from interop.process import Process

import zbus
from zbus.cli import main

TCP = "tcp://127.0.0.1:*"
LONG = 5.0


def program(*arguments: object) -> Process:
    return Process("zbus", *arguments, options=("-m",))


def places(line: str) -> list[str]:
    """The addresses in the line that says where a device is bound."""
    return re.findall(r"tcp://[\d.:]+\d", line)


@pytest.mark.parametrize("runs_in", ["greenlet", "thread"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_streamer_says_where_it_is_counts_when_asked_and_ends_well(runs_in, number):
    with program("streamer", "--frontend", TCP, "--backend", TCP, "--runs-in", runs_in) as device:
        line = device.line()
        assert line.startswith("streamer: frontend tcp://127.0.0.1:")
        front, back = places(line)
        with zbus.Push(connect=front) as feeder, zbus.Pull(connect=back) as worker:
            feeder.send("x" * 98, timeout=LONG)
            assert worker.recv(timeout=LONG).body == "x" * 98
        os.kill(device.pid, signal.SIGUSR1)
        counts = "streamer: in 1 messages, 100 bytes; out 0 messages, 0 bytes; waiting 0; dropped 0"
        assert device.line() == counts
        os.kill(device.pid, number)
        assert device.line().startswith(counts)
        assert device.ended() == 0
        assert device.complaint() == ""


def test_it_reports_by_itself_and_connects_where_it_is_told_to():
    with (
        zbus.Pull(bind=TCP) as worker,
        program("streamer", "--frontend", TCP, "--backend", f">{worker.addresses[0]}", "--report", 0.01) as device,
    ):
        front, _ = places(device.line())
        with zbus.Push(connect=front) as feeder:
            feeder.send(1, timeout=LONG)
            assert worker.recv(timeout=LONG).body == 1
        while not device.line().startswith("streamer: in 1 messages, 1 bytes"):
            continue


def test_a_forwarder_may_keep_last_values():
    with program("forwarder", "--frontend", TCP, "--backend", TCP, "--last-value") as device:
        front, back = places(device.line())
        with (
            zbus.Publisher(connect=front) as publisher,
            zbus.Subscriber(connect=back, topics="a") as early,
        ):
            publisher.wait_for_subscribers("a", timeout=LONG)
            publisher.publish("a", 1)
            assert early.recv(timeout=LONG).body == 1
            with zbus.Subscriber(connect=back, topics="a") as late:
                assert late.recv(timeout=LONG).body == 1


def test_a_monitor_prints_what_a_monitored_queue_publishes():
    with program("monitored-queue", "--frontend", TCP, "--backend", TCP, "--monitor", TCP) as device:
        front, back, watch = places(device.line())
        with (
            program("monitor", watch) as monitor,
            zbus.Replier(lambda message: {"twice": 2 * message.body}, connect=back),
            zbus.Requester(connect=front) as client,
        ):
            told = re.compile(r"(in|out) +[0-9a-f]+ [0-9a-f]{40} - (.+)")
            heard = []
            while not heard:  # until the monitor has come
                client.request(21, timeout=LONG)
                try:
                    heard.append(monitor.line(0.2))
                except TimeoutError:
                    continue
            client.request(21, timeout=LONG)
            heard += [monitor.line(), monitor.line()]
            assert {told.fullmatch(line).groups() for line in heard} == {("in", "21"), ("out", "{'twice': 42}")}


@pytest.mark.parametrize(
    "arguments",
    [
        ["queue"],
        ["queue", "--frontend", TCP],
        ["queue", "--frontend", "127.0.0.1", "--backend", TCP],
        ["queue", "--frontend", TCP, "--backend", TCP, "--report", "0"],
        ["queue", "--frontend", TCP, "--backend", TCP, "--runs-in", "orbit"],
        ["monitored-queue", "--frontend", TCP, "--backend", TCP],
        ["monitor"],
    ],
)
def test_a_mistake_is_one_line_and_exits_2(arguments, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"zbus {arguments[0]}: ")


def test_what_a_thread_cannot_do_is_one_line_and_exits_1(capsys):
    assert main(["queue", "--frontend", "inproc://x", "--backend", TCP, "--runs-in", "thread"]) == 1
    assert capsys.readouterr().err.startswith("zbus: inproc://x: ")


def test_an_address_that_is_taken_is_one_line_and_exits_1(capsys):
    with zbus.Pull(bind=TCP) as taken:
        taken.start()
        assert main(["queue", "--frontend", taken.addresses[0], "--backend", TCP]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "is taken" in err
