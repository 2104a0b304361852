"""One lifecycle: declared, open, stopping, closed."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event
from gevent.monkey import get_original
from green.rig import command, run
from waiting import until

from zbus.errors import Closed, WrongThread
from zbus.green.runner import Runner
from zbus.green.service import CLOSED, DECLARED, OPEN, STOPPING, Service


class Lamp(Service):
    """Says what is asked of it."""

    def __init__(self, *, fails: bool = False) -> None:
        self.said: list[str] = []
        self.fails = fails
        self.finishing = Event()
        self.finishing.set()

    def use(self) -> None:
        self._ready()

    def _open(self) -> None:
        self.said.append("open")
        if self.fails:
            raise OSError("no power")

    def _finish(self, deadline: float | None) -> None:
        self.said.append("finish")
        self.finishing.wait(5)

    def _shut(self, wait: bool) -> None:
        self.said.append("shut")

    def __repr__(self) -> str:
        return f"<Lamp {self.state}>"


def test_constructing_opens_nothing() -> None:
    lamp = Lamp()
    assert (lamp.state, lamp.said) == (DECLARED, [])


@pytest.mark.parametrize("first", ["start", "use", "__enter__"])
def test_it_opens_once_at_start_with_or_first_use(first: str) -> None:
    lamp = Lamp()
    getattr(lamp, first)()
    lamp.start()
    lamp.use()
    assert (lamp.state, lamp.said) == (OPEN, ["open"])
    lamp.close()


def test_stop_finishes_and_closes() -> None:
    lamp = Lamp()
    lamp.start()
    lamp.stop()
    assert (lamp.state, lamp.said) == (CLOSED, ["open", "finish", "shut"])


def test_close_does_not_finish() -> None:
    lamp = Lamp()
    lamp.start()
    lamp.close()
    assert (lamp.state, lamp.said) == (CLOSED, ["open", "shut"])


@pytest.mark.parametrize("end", ["stop", "close"])
def test_ending_twice_and_ending_what_was_never_open_is_fine(end: str) -> None:
    used, unused = Lamp(), Lamp()
    used.start()
    for lamp in (used, unused):
        for _ in range(2):
            getattr(lamp, end)()
            lamp.close()
            lamp.stop()
        assert lamp.state == CLOSED
    assert used.said.count("shut") == 1
    assert unused.said == []


@pytest.mark.parametrize("end", ["stop", "close"])
def test_use_after_the_end_says_closed(end: str) -> None:
    for lamp in (Lamp(), Lamp()):
        getattr(lamp, end)()
        for again in (lamp.start, lamp.use, lamp.__enter__):
            with pytest.raises(Closed) as told:
                again()
            assert "Lamp" in str(told.value)


def test_with_stops_and_an_exception_closes() -> None:
    with Lamp() as quiet:
        assert quiet.state == OPEN
    assert quiet.said == ["open", "finish", "shut"]
    with pytest.raises(KeyError), Lamp() as failing:
        raise KeyError
    assert failing.said == ["open", "shut"]


def test_what_cannot_open_stays_declared_and_may_try_again() -> None:
    lamp = Lamp(fails=True)
    for _ in range(2):
        with pytest.raises(OSError, match="no power"):
            lamp.start()
        assert lamp.state == DECLARED
    lamp.fails = False
    with lamp:
        assert lamp.state == OPEN
    assert lamp.said == ["open"] * 3 + ["finish", "shut"]


def test_a_second_stop_waits_for_the_first() -> None:
    lamp = Lamp()
    lamp.start()
    lamp.finishing.clear()
    stopping = [gevent.spawn(lamp.stop) for _ in range(3)]
    until(lambda: "finish" in lamp.said)
    assert lamp.state == STOPPING
    assert not any(one.ready() for one in stopping)
    lamp.finishing.set()
    gevent.joinall(stopping, timeout=5, raise_error=True)
    assert lamp.said == ["open", "finish", "shut"]


def test_close_cuts_a_stop_short() -> None:
    lamp = Lamp()
    lamp.start()
    lamp.finishing.clear()
    stopping = gevent.spawn(lamp.stop)
    until(lambda: lamp.state == STOPPING)
    lamp.close()
    assert lamp.state == CLOSED
    lamp.finishing.set()
    stopping.get(timeout=5)
    assert lamp.said.count("shut") == 1


def test_another_os_thread_is_refused() -> None:
    lamp = Lamp()
    lamp.start()
    raised: list[type] = []

    def elsewhere() -> None:
        for use in (lamp.use, lamp.start, lamp.stop, lamp.close):
            try:
                use()
            except WrongThread as error:
                raised.append(type(error))

    thread = get_original("threading", "Thread")(target=elsewhere)
    thread.start()
    thread.join(5)
    assert raised == [WrongThread] * 4
    assert lamp.state == OPEN
    lamp.close()


def test_what_is_dropped_open_is_closed_with_a_warning() -> None:
    lamp = Lamp()
    lamp.start()
    said, held = lamp.said, [lamp]
    del lamp
    with pytest.warns(ResourceWarning, match="unclosed <Lamp open>"):
        held.clear()
    assert said == ["open", "shut"]


def test_what_is_dropped_open_is_closed_though_warnings_are_errors() -> None:
    said = run(
        """
        import warnings
        from zbus.green.service import Service
        warnings.simplefilter("error")
        class Lamp(Service):
            def _shut(self, wait):
                print("shut")
        sys.unraisablehook = lambda raised: print(raised.exc_type.__name__)
        lamp = Lamp()
        lamp.start()
        del lamp
        """
    )
    assert said.split() == ["shut", "ResourceWarning"]


def test_what_is_dropped_unopened_or_closed_warns_of_nothing() -> None:
    lamp = Lamp()
    del lamp
    lamp = Lamp()
    lamp.start()
    lamp.close()
    del lamp
    gc.collect()


def test_a_forked_child_finds_it_declared_and_opens_its_own() -> None:
    said = run(
        """
        import os
        from zbus.green.service import Service
        class Lamp(Service):
            def _open(self): print("open", flush=True)
            def _shut(self, wait): print("shut", flush=True)
            def _abandon(self): print("abandon", flush=True)
        lamp, closed, unopened = Lamp(), Lamp(), Lamp()
        lamp.start()
        closed.close()
        pid = os.fork()
        if not pid:
            print(lamp.state, closed.state, unopened.state, flush=True)
            lamp.start()
            lamp.close()
            os._exit(0)
        os.waitpid(pid, 0)
        print(lamp.state)
        lamp.close()
        """
    )
    assert said.split() == ["open", "abandon", "declared", "closed", "declared", "open", "shut", "open", "shut"]


def test_what_is_open_at_exit_is_shut_without_waiting() -> None:
    said = run(
        """
        from zbus.green.service import Service
        class Lamp(Service):
            def _finish(self, deadline): print("finish")
            def _shut(self, wait): print("shut", wait)
        lamps = [Lamp(), Lamp(), Lamp()]
        lamps[0].start(); lamps[1].start()
        """
    )
    assert said.splitlines() == ["shut False"] * 2


# -- run ---------------------------------------------------------------------------------------------------


class Engine(Lamp, Runner):
    """A lamp that runs."""


def test_run_serves_until_stop() -> None:
    engine = Engine()
    running = gevent.spawn(engine.run)
    until(lambda: engine.state == OPEN)
    engine.stop()
    running.get(timeout=5)
    assert engine.said == ["open", "finish", "shut"]
    with pytest.raises(Closed):
        engine.run()


def test_run_ends_when_it_is_closed() -> None:
    engine = Engine()
    running = gevent.spawn(engine.run)
    until(lambda: engine.state == OPEN)
    engine.close()
    running.get(timeout=5)
    assert engine.said == ["open", "shut"]


def test_a_run_that_is_killed_closes() -> None:
    engine = Engine()
    running = gevent.spawn(engine.run)
    until(lambda: engine.state == OPEN)
    running.kill()
    assert engine.said == ["open", "shut"]


def test_a_run_that_cannot_open_raises_and_may_try_again() -> None:
    engine = Engine(fails=True)
    with pytest.raises(OSError, match="no power"):
        engine.run()
    engine.close()


def test_run_outside_the_main_greenlet_leaves_signals_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    engine = Engine()
    running = gevent.spawn(engine.run)
    until(lambda: engine.state == OPEN)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    engine.stop()
    running.get(timeout=5)


PROGRAM = """
import gevent, signal
from gevent.event import Event
from zbus.green.runner import Runner
signal.alarm(20)
class Engine(Runner):
    def _open(self):
        gevent.spawn(print, "open", flush=True)
    def _finish(self, deadline):
        print("finish", flush=True)
        if sys.argv[1] == "for ever":
            Event().wait()
    def _shut(self, wait):
        print("shut", flush=True)
Engine().run()
print("over", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
"""


class Program:
    """The program above in a process of its own."""

    def __init__(self, finishing: str) -> None:
        self._process = subprocess.Popen(
            [*command(PROGRAM), finishing], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def says(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def ends(self) -> tuple[int, str, str]:
        out, noise = self._process.communicate(timeout=10)
        return self._process.returncode, out.strip(), noise


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    """A running program that takes as long to finish as the parameter says."""
    running = Program(request.param)
    yield running
    running.kill()


@pytest.mark.parametrize("program", ["at once"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_closes_and_returns(program: Program, number: int) -> None:
    assert program.says() == "open"
    program.signal(number)
    assert [program.says() for _ in range(3)] == ["finish", "shut", "over True"]
    assert program.ends() == (0, "", "")


@pytest.mark.parametrize("program", ["for ever"], indirect=True)
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(program: Program, first: int, second: int) -> None:
    assert program.says() == "open"
    program.signal(first)
    assert program.says() == "finish"
    program.signal(second)
    code, said, _ = program.ends()
    assert code == -second
    assert "over" not in said


def test_stop_from_inside_asks_and_returns() -> None:
    class Inside(Engine):
        def _inside(self) -> bool:
            return gevent.getcurrent() is handler

    engine = Inside()
    running = gevent.spawn(engine.run)
    until(lambda: engine.state == OPEN)
    states: list[Any] = []

    def handle() -> None:
        engine.stop()
        states.append(engine.state)

    handler = gevent.spawn(handle)
    running.get(timeout=5)
    assert states == [OPEN]
    assert engine.said == ["open", "finish", "shut"]
