"""One owner for all that a process runs: order, failures, the end."""

from __future__ import annotations

import contextvars
import os
import signal
from dataclasses import fields

import gevent
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from green.rig import run as program
from waiting import LONG, until

import zbus
from zbus import Restart, devices

SOON = Restart(delay=0.001, max_delay=0.001)


@pytest.fixture
def bus():
    with zbus.Bus(name="shop") as bus:
        yield bus
        bus.close()


@pytest.fixture
def declared():
    bus = zbus.Bus(name="shop")
    yield bus
    bus.close()


def feed(push):
    while True:
        push.send(2, timeout=LONG)
        gevent.sleep(0.01)


class Told:
    """A service of somebody else's that tells what is done with it."""

    def __init__(self, name, told, error=None):
        self.name, self._told, self._error = name, told, error

    def start(self):
        self._told.append(f"start {self.name}")
        if self._error is not None:
            raise self._error

    def stop(self, timeout=None):
        self._told.append(f"stop {self.name}")


def test_it_starts_in_order_and_stops_in_the_reverse_endpoints_last(declared, inproc_address, monkeypatch):
    told = []
    monkeypatch.setattr(zbus.Pull, "_open", lambda self: told.append("start pull"))
    monkeypatch.setattr(zbus.Pull, "_shut", lambda self, wait: told.append("stop pull"))
    for name in "ab":
        declared.add(Told(name, told))
    pull = declared.add(zbus.Pull(bind=inproc_address))
    declared.add(Told("c", told))
    assert (declared.state, pull.state, told) == ("declared", "declared", [])
    declared.start()
    declared.start()
    assert told == ["start a", "start b", "start pull", "start c"]
    told.clear()
    declared.stop()
    declared.stop()
    assert told == ["stop c", "stop b", "stop a", "stop pull"]
    assert (declared.state, pull.state) == ("closed", "closed")


def test_one_that_cannot_start_leaves_the_others_as_they_were(declared, inproc_address):
    told = []
    pull = declared.add(zbus.Pull(bind=inproc_address))
    ran = []
    declared.spawn(ran.append, 1)
    broken = Told("broken", told, LookupError("no"))
    declared.add(Told("a", told))
    declared.add(broken)
    with pytest.raises(LookupError):
        declared.start()
    assert told == ["start a", "start broken", "stop a"]
    assert (declared.state, pull.state) == ("declared", "declared")
    broken._error = None
    declared.start()
    assert pull.state == "open"
    until(lambda: ran == [1])


def test_a_dispatcher_dispatches_after_a_start_that_failed(declared, inproc_address):
    heard = []
    dispatcher = declared.add(zbus.Dispatcher())
    dispatcher.add(declared.add(zbus.Pull(bind=inproc_address)), heard.append)
    broken = declared.add(Told("broken", [], LookupError("no")))
    with pytest.raises(LookupError):
        declared.start()
    broken._error = None
    declared.start()
    with zbus.Push(connect=inproc_address) as push:
        push.send(1, timeout=LONG)
        until(lambda: heard)


def test_what_is_added_while_it_runs_is_started(bus, inproc_address):
    pull = bus.add(zbus.Pull(bind=inproc_address))
    assert pull.state == "open"
    with pytest.raises(zbus.AddressInUse):
        bus.add(zbus.Pull(bind=inproc_address))
    assert bus.spawn(lambda a, b: a + b, 1, 2).get(timeout=LONG) == 3


def test_a_whole_application(declared, inproc_address):
    dispatcher = declared.add(zbus.Dispatcher(concurrency=4))
    server = declared.add(zbus.Replier(lambda message: message.body + 1, bind=inproc_address))
    work = declared.add(zbus.Pull(bind=inproc_address + ".work"))
    push = declared.add(zbus.Push(connect=inproc_address + ".work"))
    queue = declared.add(devices.queue(inproc_address + ".f", devices.Side(connect=inproc_address + ".b"), name="q"))
    client = declared.add(zbus.Requester(connect=inproc_address))
    done = []
    dispatcher.add(work, lambda message: done.append(client.request(message.body, timeout=LONG)))

    @declared.spawn
    def feed():
        for number in range(10):
            push.send(number, timeout=LONG)
        until(lambda: len(done) == 10)
        declared.stop()

    with gevent.Timeout(LONG):
        declared.run()
    assert sorted(done) == list(range(1, 11))
    assert {one.state for one in (dispatcher, server, work, push, queue, client)} == {"closed"}
    statistics = declared.statistics()
    assert (statistics.failed, statistics.missed_wakeups, statistics.restarted) == (0, 0, 0)
    assert statistics.received == sum(one.statistics().received for one in (dispatcher, server, work, push, client))
    assert {"Dispatcher", "Replier", "Pull", "Push", "q", "Requester"} == set(statistics.services)


def test_statistics_and_repr_show_the_whole_tree(bus, inproc_address):
    first = bus.add(zbus.Pull(bind=inproc_address))
    bus.add(zbus.Pull(bind=inproc_address + ".other"))
    bus.add(zbus.Pull(bind=inproc_address + ".named", name="orders"))
    running = bus.spawn(Event().wait)
    statistics = bus.statistics()
    assert list(statistics.services) == ["Pull", "Pull 2", "orders"]
    assert statistics.services["Pull"] == first.statistics()
    assert statistics.running == 1
    assert all(isinstance(getattr(statistics, each.name), int) for each in fields(zbus.Statistics))
    for part in ("Bus 'shop' open", repr(first), "'orders'"):
        assert part in repr(bus)
    assert not running.dead


class TestFailure:
    def test_a_greenlet_that_fails_is_called_again_as_its_policy_says(self, bus, caplog):
        calls = []

        def fails_twice():
            calls.append(1)
            if len(calls) < 3:
                raise LookupError("not yet")
            return "done"

        assert bus.spawn(fails_twice, restart=SOON).get(timeout=LONG) == "done"
        until(lambda: not bus._members)
        assert bus.statistics().restarted == 2
        assert "fails_twice> failed and starts again" in caplog.text

    @pytest.mark.parametrize("error", [LookupError, gevent.Timeout])
    @pytest.mark.parametrize("restart", [None, Restart(limit=2, delay=0.001)])
    def test_the_first_fatal_error_ends_run_with_it(self, declared, inproc_address, restart, error):
        pull = declared.add(zbus.Pull(bind=inproc_address))

        def fails():
            raise error(1)

        declared.spawn(fails, restart=restart)
        declared.spawn(Event().wait)
        with gevent.Timeout(LONG), pytest.raises(error):
            declared.run()
        assert (declared.state, pull.state) == ("closed", "closed")

    def test_a_device_that_fails_is_opened_again_and_its_peers_come_back(self, declared):
        here, there = (zbus.Pull(bind="tcp://127.0.0.1:*") for _ in range(2))
        front, back = here.addresses[0], there.addresses[0]
        here.close()
        there.close()
        device = declared.add(devices.streamer(front, back, runs_in="process"), restart=SOON)
        declared.start()
        soon = {"reconnect": (0.01, 0.05), "linger": 0}
        with zbus.Push(connect=front, **soon) as feeder, zbus.Pull(connect=back, **soon) as worker:
            feeder.send(1, timeout=LONG)
            assert worker.recv(timeout=LONG).body == 1
            os.kill(device._engine._process.pid, signal.SIGKILL)
            until(lambda: not feeder.peers and not worker.peers)
            for end in (worker, feeder):
                end.wait_for_peers(timeout=2 * LONG)
            feeding = gevent.spawn(feed, feeder)  # what was sent at that moment may be lost with the connection
            assert worker.recv(timeout=LONG).body == 2
            feeding.kill()
            assert declared.statistics().restarted == 1

    def test_a_device_without_a_policy_is_fatal(self, declared):
        device = declared.add(devices.streamer("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", runs_in="process"))
        running = gevent.spawn(declared.run)
        assert device.frontend.addresses, "which waits until it is open"
        os.kill(device._engine._process.pid, signal.SIGKILL)
        with pytest.raises(OSError, match="exit status -9"):
            running.get(timeout=LONG)

    def test_an_error_while_others_still_start_is_the_one_that_run_raises(self, declared):
        def fails():
            raise LookupError("early")

        class Slow(Told):
            def start(self):
                until(lambda: declared._ended_by)

        declared.spawn(fails)
        declared.add(Slow("slow", []))
        with gevent.Timeout(LONG), pytest.raises(LookupError, match="early"):
            declared.run()

    @pytest.mark.parametrize("restart", [None, SOON])
    def test_a_bus_in_a_bus_fails_to_its_owner(self, declared, inproc_address, restart):
        calls = []

        def fails_once():
            calls.append(1)
            if len(calls) == 1:
                raise LookupError("once")
            Event().wait()

        inner = declared.add(zbus.Bus(), restart=restart)
        pull = inner.add(zbus.Pull(bind=inproc_address))
        inner.spawn(fails_once)
        if restart is None:
            with gevent.Timeout(LONG), pytest.raises(LookupError, match="once"):
                declared.run()
        else:
            declared.start()
            until(lambda: len(calls) == 2)
            assert (inner.state, pull.state) == ("open", "open")

    def test_what_waits_to_be_started_again_does_not_hold_up_the_end(self, bus):
        def fails():
            raise LookupError

        waiting = bus.spawn(fails, restart=Restart(delay=100.0, max_delay=100.0))
        gevent.idle()
        assert not waiting.dead
        with gevent.Timeout(LONG):
            bus.stop()
        assert waiting.dead


class TestEnd:
    def test_a_greenlet_is_killed_where_it_waits_and_may_clean_up(self, bus):
        told = []

        def work():
            try:
                Event().wait()
            finally:
                gevent.idle()
                told.append("clean")

        bus.spawn(work)
        gevent.idle()
        bus.stop()
        assert told == ["clean"]

    def test_what_runs_is_finished_within_the_deadline(self, declared, inproc_address):
        dispatcher = declared.add(zbus.Dispatcher(concurrency=5))
        pull = declared.add(zbus.Pull(bind=inproc_address))
        begun, done, go = [], [], Event()

        def handle(message):
            begun.append(message.body)
            go.wait()
            done.append(message.body)

        dispatcher.add(pull, handle)
        declared.start()
        with zbus.Push(connect=inproc_address, linger=0) as push:
            sending = gevent.spawn(lambda: [push.send(number, timeout=LONG) for number in range(50)])
            until(lambda: len(begun) == 5)
            stopping = gevent.spawn(declared.stop, LONG)
            until(lambda: declared.state == "stopping")
            go.set()
            stopping.get(timeout=LONG)
            sending.kill()
        assert sorted(done) == [0, 1, 2, 3, 4]

    def test_endpoints_whose_peers_are_gone_linger_side_by_side(self, declared):
        for _ in range(8):
            push = declared.add(zbus.Push(connect="tcp://127.0.0.1:1", linger=0.5))
            push.start()
            push._port.socket.transmit([b"x"])
        with gevent.Timeout(2.5):
            declared.stop()

    def test_one_that_does_not_stop_well_does_not_keep_the_others_from_it(self, declared, caplog):
        told = []

        class Bad(Told):
            def stop(self, timeout=None):
                raise OSError("cannot stop")

        declared.add(Told("good", told))
        declared.add(Bad("bad", told))
        declared.start()
        declared.stop()
        assert told == ["start good", "start bad", "stop good"]
        assert "did not stop well" in caplog.text

    def test_stop_from_inside_a_callback_lets_it_finish(self, declared, inproc_address):
        done = []

        def handle(message):
            declared.stop()
            gevent.idle()
            done.append(message.body)
            return "the reply still goes out"

        declared.add(zbus.Replier(handle, bind=inproc_address))
        client = declared.add(zbus.Requester(connect=inproc_address))
        asking = gevent.spawn(client.request, 1, timeout=LONG)
        with gevent.Timeout(LONG):
            declared.run()
        assert done == [1]
        assert asking.get(timeout=LONG) == "the reply still goes out"

    def test_a_bus_that_was_never_started_closes_what_was_used(self, inproc_address):
        bus = zbus.Bus()
        pull = bus.add(zbus.Pull(bind=inproc_address))
        assert pull.addresses
        bus.close()
        assert pull.state == "closed"
        for use in (bus.start, bus.run, lambda: bus.add(zbus.Pull(bind="inproc://x")), lambda: bus.spawn(print)):
            with pytest.raises(zbus.Closed):
                use()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_drains_it(self, declared, number):
        told = []
        declared.add(Told("a", told))
        declared.spawn(os.kill, os.getpid(), number)
        with gevent.Timeout(LONG):
            declared.run()
        assert told == ["start a", "stop a"]


def test_a_wsgi_server_is_a_service(bus):
    server = bus.add(WSGIServer(("127.0.0.1", 0), lambda environ, start: [b""], log=None))
    assert server.started
    bus.stop()
    assert not server.started


def test_greenlets_have_the_context_of_whoever_asked(bus):
    variable = contextvars.ContextVar("variable")
    variable.set("asked")
    assert bus.spawn(variable.get).get(timeout=LONG) == "asked"


def test_greenlets_that_have_ended_are_owned_no_more(bus):
    gevent.joinall([bus.spawn(int) for _ in range(100)])
    until(lambda: not bus._members)


@pytest.mark.parametrize("word", ["publish", "request", "service", "push", "worker"])
def test_the_words_that_are_reserved_stay_free(word):
    """For verbs by name with engines behind a URL; and so does the first positional argument."""
    assert not hasattr(zbus.Bus, word)
    with pytest.raises(TypeError):
        zbus.Bus("a URL")


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda bus: bus.add(5), TypeError, "int has not"),
        (lambda bus: bus.add(zbus.Pull), TypeError, "class Pull.*made first"),
        (lambda bus: bus.add(bus), ValueError, "already"),
        (lambda bus: [bus.add(one) for one in [Told("a", [])] * 2], ValueError, "already"),
        (lambda bus: bus.add(Told("a", []), restart=True), TypeError, "Restart"),
        (lambda bus: bus.spawn("print"), TypeError, "str"),
        (lambda bus: bus.spawn(print, restart=3), TypeError, "Restart"),
    ],
)
def test_misuse_raises_at_the_call_and_names_what_is_wrong(declared, wrong, error, says):
    with pytest.raises(error, match=says):
        wrong(declared)


def test_a_forked_child_starts_its_own_and_its_parents_goes_on():
    said = program(
        """
        import os, gevent, zbus
        bus = zbus.Bus()
        server = bus.add(zbus.Replier(lambda message: os.getpid(), bind="tcp://127.0.0.1:*"))
        said = []
        bus.spawn(lambda: (said.append(os.getpid()), gevent.event.Event().wait()))
        bus.start()
        gevent.idle()
        def ask():
            with zbus.Requester(connect=server.addresses) as client:
                return client.request(None, timeout=5) == os.getpid(), said[-1] == os.getpid(), len(said)
        pid = os.fork()
        if not pid:
            print(bus.state, server.state)
            bus.start()
            gevent.idle()
            print(*ask(), flush=True)
            bus.close()
            os._exit(0)
        os.waitpid(pid, 0)
        print(*ask(), bus.state)
        bus.close()
        """
    )
    assert said.splitlines() == ["declared declared", "True True 2", "True True 1 open"]
