"""One loop over many endpoints: what is called, in which order, and what one callback may cost the others."""

from __future__ import annotations

import contextvars
import gc
import logging
import os
import signal
from collections.abc import Iterator
from time import monotonic

import gevent
import pytest
from gevent.event import Event
from green.rig import run as program
from waiting import LONG, until

import zbus


@pytest.fixture
def make() -> Iterator:
    """Makes things that are closed in the end, the last made first."""
    made = []

    def make(constructor, *arguments, **options):
        made.append(constructor(*arguments, **options))
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()


@pytest.fixture
def dispatcher(make):
    return make(zbus.Dispatcher, name="desk")


@pytest.fixture
def commands(make, dispatcher, inproc_address):
    """What sends control messages to the dispatcher."""
    dispatcher.add(make(zbus.Pull, bind=inproc_address + ".commands"))
    return make(zbus.Push, connect=inproc_address + ".commands")


@pytest.fixture
def topics(make, dispatcher, inproc_address):
    """What publishes to the dispatcher."""
    dispatcher.add(make(zbus.Subscriber, bind=inproc_address + ".topics"))
    return make(zbus.Publisher, connect=inproc_address + ".topics")


def publish(publisher, *messages):
    for topic, body in messages:
        publisher.wait_for_subscribers(topic, timeout=LONG)
        publisher.publish(topic, body)


def test_a_whole_worker_that_a_command_ends(dispatcher, commands, topics):
    """The tutorial's: commands and topics over two sockets, stopped from inside a callback."""
    heard = []

    @dispatcher.command("Exit")
    def leave(message):
        heard.append("exit")
        dispatcher.stop()

    @dispatcher.topic("9.<word>")
    def nine(message, word):
        heard.append((word, message.body))
        commands.send("Exit", timeout=LONG)

    @dispatcher.command("Continue")
    def go_on(message):
        heard.append("continue")
        publish(topics, ("9.x", 1))

    commands.send("Continue", timeout=0)
    with gevent.Timeout(LONG):
        dispatcher.run()
    assert heard == ["continue", ("x", 1), "exit"]
    assert dispatcher.state == "closed"
    assert topics.state == "open", "the publisher goes on"
    assert dispatcher.statistics().received == 3


def test_registering_a_topic_subscribes_and_removing_the_last_callback_unsubscribes(dispatcher, topics, make):
    heard = []
    first = dispatcher.topic("a.#")(lambda message: heard.append(message.body))
    second = dispatcher.topic("a.#")(lambda message: heard.append(-message.body))
    dispatcher.start()
    publish(topics, ("a.b", 1))
    until(lambda: heard == [1, -1])
    dispatcher.remove(first)
    publish(topics, ("a.b", 2))
    until(lambda: heard == [1, -1, -2])
    dispatcher.remove(second)
    until(lambda: not topics._audience)
    dispatcher.topic("b")(lambda message: heard.append("b"))
    publish(topics, ("b", 3))
    until(lambda: heard[-1] == "b")


def test_an_endpoint_comes_and_goes_while_it_runs(dispatcher, make, inproc_address):
    heard = []
    dispatcher.command("x")(lambda message: heard.append("x"))
    dispatcher.topic("a")(lambda message: heard.append("a"))
    dispatcher.start()
    pull, push = make(zbus.Pull, bind=inproc_address), make(zbus.Push, connect=inproc_address)
    assert dispatcher.add(pull) is pull
    push.send("x", timeout=LONG)
    until(lambda: heard == ["x"])
    dispatcher.remove(pull)
    push.send("x", timeout=LONG)
    assert pull.recv(timeout=LONG).body == "x", "it stays open, and its messages are its own"
    dispatcher.add(pull)
    push.send("x", timeout=LONG)
    until(lambda: heard == ["x", "x"])
    late = make(zbus.Subscriber, bind=inproc_address + ".late")
    dispatcher.add(late)
    publish(make(zbus.Publisher, connect=inproc_address + ".late"), ("a", 1))
    until(lambda: heard == ["x", "x", "a"])
    dispatcher.remove(late)
    assert not late._subscriptions


def test_all_that_one_endpoint_gets_goes_to_its_handler(dispatcher, make, inproc_address):
    heard = []
    dispatcher.command("x")(lambda message: heard.append("command"))
    dispatcher.add(make(zbus.Pull, bind=inproc_address), lambda message: heard.append(message.body))
    push = make(zbus.Push, connect=inproc_address)
    dispatcher.start()
    for body in ("x", 5, None):
        push.send(body, timeout=LONG)
    until(lambda: heard == ["x", 5, None])
    assert dispatcher.statistics().unmatched == 0


def test_control_messages_go_first_and_each_endpoint_keeps_its_order(dispatcher, commands, make, inproc_address):
    heard = []
    works = []
    for name in "ab":
        dispatcher.add(
            make(zbus.Pull, bind=inproc_address + name), lambda message, name=name: heard.append((name, message.body))
        )
        works.append(make(zbus.Push, connect=inproc_address + name))
    dispatcher.command("now")(lambda message: heard.append("now"))
    for work in works:
        for number in range(500):
            work.send(number, timeout=LONG)
    commands.send("now", timeout=LONG)
    dispatcher.start()
    until(lambda: len(heard) == 1001)
    assert heard[0] == "now"
    for name in "ab":
        assert [body for who, body in heard[1:] if who == name] == list(range(500))
    assert heard[1:501] != [("a", number) for number in range(500)], "they take turns"


def test_a_poller_yields_each_message_with_its_endpoint_and_ends_with_the_last_of_them(make, inproc_address):
    dispatcher = make(zbus.Dispatcher)
    pulls = [dispatcher.add(make(zbus.Pull, bind=f"{inproc_address}{n}")) for n in range(2)]
    pushes = [make(zbus.Push, connect=f"{inproc_address}{n}") for n in range(2)]
    for number, push in enumerate(pushes):
        push.send(number, timeout=LONG)
    seen = []
    with gevent.Timeout(LONG):
        for endpoint, message in dispatcher:
            seen.append((pulls.index(endpoint), message.body))
            if len(seen) == 2:
                gevent.spawn(lambda: [pull.close() for pull in pulls])
    assert sorted(seen) == [(0, 0), (1, 1)]
    assert dispatcher.state == "open"


def test_a_poller_may_be_stopped_from_its_body_and_dispatch_by_hand(dispatcher, commands):
    heard = []
    dispatcher.command("x")(lambda message: heard.append(message.body))
    for _ in range(3):
        commands.send("x", timeout=LONG)
    with gevent.Timeout(LONG):
        for _, message in dispatcher:
            dispatcher.dispatch(message)
            if len(heard) == 2:
                dispatcher.stop()
    assert heard == ["x", "x"]
    until(lambda: dispatcher.state == "closed")


def test_who_leaves_the_iteration_may_come_back(dispatcher, commands):
    for number in range(5):
        commands.send(number, timeout=LONG)

    def one():
        for _, message in dispatcher:
            return message.body
        return None

    with gevent.Timeout(LONG):
        assert [one() for _ in range(5)] == list(range(5))


def test_control_messages_without_end_leave_the_others_their_turns(dispatcher, commands, make, inproc_address):
    heard = []
    dispatcher.default(lambda message: None)
    dispatcher.add(make(zbus.Pull, bind=inproc_address), heard.append)
    other = make(zbus.Push, connect=inproc_address)

    def flood():
        while True:
            commands.send(1, timeout=LONG)

    flooding = gevent.spawn(flood)
    dispatcher.start()
    until(lambda: dispatcher.statistics().received > 1000)
    other.send("x", timeout=LONG)
    until(lambda: heard)
    flooding.kill()


def test_what_cannot_be_opened_may_be_added_again(dispatcher, make, inproc_address):
    dispatcher.start()
    taken = make(zbus.Pull, bind=inproc_address)
    taken.start()
    pull = make(zbus.Pull, bind=inproc_address)
    with pytest.raises(zbus.AddressInUse):
        dispatcher.add(pull)
    taken.close()
    assert dispatcher.add(pull).state == "open"


def test_who_starts_and_iterates_at_once_is_told_so(dispatcher, commands):
    dispatcher.start()
    with pytest.raises(RuntimeError, match="another greenlet"):
        next(iter(dispatcher))


def test_a_callback_that_raises_is_logged_without_the_payload_counted_and_told_of(dispatcher, topics, caplog):
    told, heard = [], []
    dispatcher.on_error(lambda message, error: told.append((message.topic, type(error))))

    @dispatcher.topic("a.#")
    def broken(message):
        raise LookupError("went wrong")

    dispatcher.topic("a.#")(lambda message: heard.append(message.body))
    dispatcher.start()
    with caplog.at_level(logging.ERROR, "zbus"):
        publish(topics, ("a.b", "the payload"), ("a.c", 2))
        until(lambda: heard == ["the payload", 2])
    assert dispatcher.statistics().failed == 2
    assert told == [("a.b", LookupError), ("a.c", LookupError)]
    assert "broken raised LookupError on topic 'a.b'" in caplog.text
    assert "the payload" not in caplog.text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, gevent.GreenletExit, gevent.Timeout])
def test_no_error_of_a_callback_ends_the_loop(dispatcher, commands, error):
    heard = []

    @dispatcher.command("fail")
    def fail(message):
        raise error

    @dispatcher.on_error
    def worse(message, error):
        raise error

    dispatcher.command("x")(heard.append)
    dispatcher.start()
    for name in ("fail", "x"):
        commands.send(name, timeout=LONG)
    until(lambda: len(heard) == 1)
    assert dispatcher.statistics().failed == 1


def test_a_callback_may_remove_itself_or_its_endpoint(dispatcher, commands, topics, make):
    heard = []

    @dispatcher.topic("a")
    def once(message):
        heard.append(message.body)
        dispatcher.remove(once)

    @dispatcher.command("go")
    def go(message):
        heard.append("go")
        dispatcher.remove(next(one for one in dispatcher._sources if isinstance(one, zbus.Pull)))

    dispatcher.topic("b")(lambda message: heard.append("b"))
    dispatcher.start()
    publish(topics, ("a", 1))
    for _ in range(3):
        commands.send("go", timeout=LONG)
    publish(topics, ("b", 2))
    until(lambda: "b" in heard)
    assert sorted(map(str, heard)) == ["1", "b", "go"]


def test_messages_that_nobody_wants_are_counted(dispatcher, commands):
    dispatcher.start()
    commands.send("what", timeout=LONG)
    until(lambda: dispatcher.statistics().unmatched == 1)
    assert dispatcher.statistics().received == 1


class TestConcurrency:
    @pytest.fixture
    def dispatcher(self, make):
        return make(zbus.Dispatcher, concurrency=3)

    @pytest.fixture
    def work(self, make, dispatcher, inproc_address):
        """Bodies for a handler that holds each until it is let go."""

        class Work:
            def __init__(self):
                self.begun, self.done, self.go = [], [], {}
                dispatcher.add(make(zbus.Pull, bind=inproc_address, high_water_mark=1), self.handle)
                self.push = make(zbus.Push, connect=inproc_address, high_water_mark=1)

            def handle(self, message):
                self.begun.append(message.body)
                self.go.setdefault(message.body, Event()).wait()
                self.done.append(message.body)

        return Work()

    def test_so_many_run_at_once_and_then_senders_have_to_wait(self, dispatcher, work):
        dispatcher.start()
        sending = gevent.spawn(lambda: [work.push.send(number, timeout=LONG) for number in range(20)])
        until(lambda: len(work.begun) == 3 and work.push._readiness.writers)
        assert dispatcher.statistics().running == 3
        assert dispatcher.statistics().waiting == 1, "an endpoint has more, and is not read"
        work.go[1].set()
        until(lambda: work.begun == [0, 1, 2, 3])
        assert work.done == [1], "in no certain order"
        for number in range(20):
            work.go.setdefault(number, Event()).set()
        until(lambda: len(work.done) == 20)
        sending.get(timeout=LONG)
        assert dispatcher.statistics().waiting == 0

    def test_commands_are_heard_although_all_are_busy(self, dispatcher, commands, work):
        heard = []
        dispatcher.command("now")(lambda message: heard.append(gevent.getcurrent() is dispatcher._loop))
        dispatcher.start()
        for number in range(3):
            work.push.send(number, timeout=LONG)
        until(lambda: len(work.begun) == 3)
        commands.send("now", timeout=LONG)
        until(lambda: heard == [True])
        assert work.done == []

    def test_stopping_lets_what_runs_finish_and_reads_no_more(self, dispatcher, work):
        dispatcher.start()
        sending = gevent.spawn(lambda: [work.push.send(number, timeout=LONG) for number in range(10)])
        until(lambda: len(work.begun) == 3)
        stopping = gevent.spawn(dispatcher.stop, LONG)
        until(lambda: dispatcher.state == "stopping")
        for number in range(10):
            work.go.setdefault(number, Event()).set()
        stopping.get(timeout=LONG)
        assert sorted(work.done) == [0, 1, 2]
        assert dispatcher.statistics().running == 0
        sending.kill()

    def test_what_does_not_finish_in_time_is_ended(self, dispatcher, work):
        dispatcher.start()
        work.push.send(0, timeout=LONG)
        until(lambda: work.begun == [0])
        dispatcher.stop(timeout=0.01)
        assert dispatcher.state == "closed"
        until(lambda: dispatcher.statistics().running == 0)
        assert work.done == []

    def test_a_callback_in_the_pool_may_stop_it(self, dispatcher, make, inproc_address):
        heard = []

        def handle(message):
            dispatcher.stop()
            gevent.idle()
            heard.append(message.body)

        dispatcher.add(make(zbus.Pull, bind=inproc_address), handle)
        make(zbus.Push, connect=inproc_address).send(1, timeout=LONG)
        with gevent.Timeout(LONG):
            dispatcher.run()
        assert heard == [1], "it finishes"


@pytest.mark.parametrize("concurrency", [1, 2])
def test_callbacks_see_the_context_that_it_was_started_in(make, inproc_address, concurrency):
    variable = contextvars.ContextVar("variable", default="outside")
    seen = []
    dispatcher = make(zbus.Dispatcher, concurrency=concurrency)

    def handle(message):
        seen.append((variable.get(), message.headers.get("traceparent")))

    dispatcher.add(make(zbus.Pull, bind=inproc_address), handle)
    variable.set("inside")
    dispatcher.start()
    make(zbus.Push, connect=inproc_address).send(1, headers={"traceparent": "00-1-1-01"}, timeout=LONG)
    until(lambda: seen == [("inside", "00-1-1-01")])


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda d, at: d.add(zbus.Push(bind=at)), TypeError, "a Push only sends"),
        (lambda d, at: d.add(zbus.Replier(print, bind=at)), TypeError, "Replier.*dispatch"),
        (lambda d, at: d.add("tcp://127.0.0.1:5556"), TypeError, "str"),
        (lambda d, at: d.add(zbus.Pull(bind=at), "handler"), TypeError, "str cannot"),
        (lambda d, at: [d.add(pull) for pull in [zbus.Pull(bind=at)] * 2], ValueError, "already"),
        (lambda d, at: d.remove(zbus.Pull(bind=at)), ValueError, "Pull"),
        (lambda d, at: d.on_error(lambda message: None), TypeError, "error"),
        (lambda d, at: zbus.Dispatcher(concurrency=0), ValueError, "concurrency"),
    ],
)
def test_misuse_raises_at_the_call_and_names_what_is_wrong(dispatcher, inproc_address, wrong, error, says):
    with pytest.raises(error, match=says):
        wrong(dispatcher, inproc_address)


def test_one_lifetime(make, inproc_address):
    dispatcher = make(zbus.Dispatcher, name="desk")
    pull = dispatcher.add(make(zbus.Pull, bind=inproc_address))
    assert (dispatcher.state, pull.state) == ("declared", "declared")
    assert dispatcher.statistics() == zbus.Statistics()
    assert "'desk' declared" in repr(dispatcher)
    dispatcher.start()
    dispatcher.start()
    assert (dispatcher.state, pull.state) == ("open", "open")
    dispatcher.close()
    dispatcher.close()
    dispatcher.stop()
    assert (dispatcher.state, pull.state) == ("closed", "open")
    for use in (dispatcher.start, dispatcher.run, lambda: iter(dispatcher), lambda: dispatcher.add(pull)):
        with pytest.raises(zbus.Closed):
            use()


def test_stopping_does_not_wait_for_one_that_yields_after_a_callback_that_took_long(dispatcher, commands):
    stopping = []

    @dispatcher.command("compute")
    def compute(message):
        stopping.append(gevent.spawn(dispatcher.stop, 4 * LONG))
        until = monotonic() + 0.01
        while monotonic() < until:
            continue

    dispatcher.command("be quick")(lambda message: None)  # the first of a slice: more may follow without a look
    dispatcher.start()
    for command in ("be quick", "compute"):
        commands.send(command, timeout=LONG)
    until(lambda: stopping)
    stopping[0].get(timeout=LONG)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_ends_on_a_signal(dispatcher, commands, number):
    dispatcher.command("x")(lambda message: os.kill(os.getpid(), number))
    commands.send("x", timeout=LONG)
    with gevent.Timeout(LONG):
        dispatcher.run()
    assert dispatcher.state == "closed"


def test_one_that_is_dropped_open_is_told_of(make, inproc_address):
    kept = [zbus.Dispatcher()]
    kept[0].add(make(zbus.Pull, bind=inproc_address))
    assert iter(kept[0])

    def forget():
        kept.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match="Dispatcher"):
        forget()


def test_a_forked_child_starts_its_own_and_its_parents_goes_on():
    said = program(
        """
        import os, gevent, zbus
        from gevent.event import Event
        heard, came = [], Event()
        def handle(message):
            heard.append(message.body)
            came.set()
        pull = zbus.Pull(bind="tcp://127.0.0.1:*")
        dispatcher = zbus.Dispatcher()
        dispatcher.add(pull, handle)
        dispatcher.start()
        gevent.idle()
        def one(body):
            with zbus.Push(connect=pull.addresses) as push:
                push.send(body)
                assert came.wait(5) and heard[-1] == body
            print(heard, dispatcher.state, flush=True)
        pid = os.fork()
        if not pid:
            print(dispatcher.state)
            dispatcher.start()
            one("child")
            dispatcher.close()
            pull.close()
            os._exit(0)
        os.waitpid(pid, 0)
        one("parent")
        dispatcher.close()
        pull.close()
        """
    )
    assert said.splitlines() == ["declared", "['child'] open", "['parent'] open"]
