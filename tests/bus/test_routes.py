"""Which callbacks a message goes to. No socket is opened here."""

from __future__ import annotations

import pytest

import zbus
from zbus import Message, Routes
from zbus.bus.routes import CACHE


@pytest.fixture
def routes():
    return Routes()


@pytest.fixture
def heard():
    """A list, and what makes callbacks that append to it."""

    class Heard(list):
        def by(self, name):
            def callback(message, **words):
                self.append((name, message.body, words))
                return name

            return callback

    return Heard()


def test_a_command_goes_to_its_callback_whose_value_is_returned(routes):
    @routes.command("add")
    def add(message):
        return message.body["a"] + message.body["b"]

    @routes.command("ping")
    def ping(message):
        return "pong"

    assert routes.dispatch(Message({"command": "add", "a": 1, "b": 2})) == 3
    assert routes.dispatch(Message("ping")) == routes.dispatch(Message({"command": "ping"})) == "pong"
    assert add(Message({"a": 2, "b": 2})) == 4, "decorated functions are unchanged"


@pytest.mark.parametrize(
    "body", ["no", {"command": "no"}, {"command": ["add"]}, {"command": None}, {}, 5, None, b"add"]
)
def test_what_is_no_known_command_goes_to_the_default_or_is_counted(routes, heard, body):
    routes.command("add")(heard.by("add"))
    assert routes.dispatch(Message(body)) is None
    assert routes._unmatched == 1
    routes.default(heard.by("default"))
    assert routes.dispatch(Message(body)) == "default"
    assert heard == [("default", body, {})]
    assert routes._unmatched == 1


def test_a_topic_goes_to_every_callback_that_matches_in_the_order_they_were_registered(routes, heard):
    for pattern in ("orders.#", "orders.eu.new", "*.eu.*", "stock.#", "#", "orders.eu.new"):
        routes.topic(pattern)(heard.by(pattern))
    for _ in range(2):  # matched, then remembered
        heard.clear()
        routes.dispatch(Message(1, topic="orders.eu.new"))
        assert [name for name, _, _ in heard] == ["orders.#", "orders.eu.new", "*.eu.*", "#", "orders.eu.new"]


@pytest.mark.parametrize(
    ("pattern", "topic", "words"),
    [
        ("orders.<region>.#", "orders.eu", {"region": "eu"}),
        ("orders.<region>.#", "orders.eu.new.x", {"region": "eu"}),
        ("<a>.<b>", "x.y", {"a": "x", "b": "y"}),
        ("#.<last>", "x.y.z", {"last": "z"}),
        ("#.<a>.x.#", "p.q.x.r", {"a": "q"}),
        ("<a>.#.<b>", "x.m.n.y", {"a": "x", "b": "y"}),
        ("*.<a>", "x.", {"a": ""}),
    ],
)
def test_named_words_become_arguments(routes, heard, pattern, topic, words):
    routes.topic(pattern)(heard.by("it"))
    routes.dispatch(Message(1, topic=topic))
    assert heard == [("it", 1, words)]


def test_a_topic_that_nobody_wants_goes_to_the_default_or_is_counted(routes, heard):
    routes.topic("a")(heard.by("a"))
    routes.dispatch(Message(1, topic="b"))
    assert routes._unmatched == 1
    routes.default(heard.by("default"))
    routes.dispatch(Message(2, topic="b"))
    assert heard == [("default", 2, {})]


def test_what_is_registered_later_is_heard_although_topics_are_remembered(routes, heard):
    routes.topic("a")(heard.by("first"))
    routes.dispatch(Message(1, topic="a"))
    routes.topic("#")(heard.by("second"))
    routes.dispatch(Message(2, topic="a"))
    assert [(name, body) for name, body, _ in heard] == [("first", 1), ("first", 2), ("second", 2)]


def test_the_memory_of_topics_is_bounded(routes, heard):
    routes.topic("#")(heard.by("all"))
    for number in range(CACHE + 10):
        routes.dispatch(Message(topic=f"t.{number}"))
    assert len(routes._matches) <= CACHE
    assert len(heard) == CACHE + 10


def test_an_error_is_raised_once_all_have_been_called(routes, heard):
    @routes.topic("a")
    def broken(message):
        raise LookupError("first")

    routes.topic("a")(heard.by("second"))
    with pytest.raises(LookupError, match="first"):
        routes.dispatch(Message(1, topic="a"))
    assert heard == [("second", 1, {})]


def test_routes_are_included_under_a_prefix_now_and_later(routes, heard):
    module = Routes()
    module.command("new")(heard.by("new"))
    module.topic("<kind>.#")(heard.by("topic"))
    routes.include(module, prefix="orders")
    module.command("late")(heard.by("late"))
    module.topic("late")(heard.by("late topic"))
    assert routes.dispatch(Message("orders.new")) == "new"
    assert routes.dispatch(Message("orders.late")) == "late"
    assert module.dispatch(Message("new")) == "new"
    heard.clear()
    routes.dispatch(Message(1, topic="orders.late"))
    assert heard == [("topic", 1, {"kind": "late"}), ("late topic", 1, {})]


def test_included_without_a_prefix_and_through_two_levels(heard):
    top, middle, leaf = Routes(), Routes(), Routes()
    top.include(middle)
    middle.include(leaf, prefix="b")
    leaf.command("x")(heard.by("x"))
    assert top.dispatch(Message("b.x")) == "x"
    leaf.remove(leaf._commands["x"])
    assert top.dispatch(Message("b.x")) is None


def test_a_callback_may_be_removed_also_by_itself(routes, heard):
    @routes.topic("a")
    @routes.command("once")
    def once(message):
        heard.append(message.body)
        routes.remove(once)

    routes.topic("a")(heard.by("other"))
    routes.dispatch(Message(1, topic="a"))
    routes.dispatch(Message(2, topic="a"))
    assert heard == [1, ("other", 1, {}), ("other", 2, {})]
    assert routes.dispatch(Message("once")) is None
    with pytest.raises(ValueError, match="once is not registered"):
        routes.remove(once)


def no_message():
    """Takes nothing."""


def no_words(message):
    """Takes no words."""


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda r: r.command(""), TypeError, "command"),
        (lambda r: r.command(5), TypeError, "command"),
        (lambda r: r.command("x")("print"), TypeError, "str cannot"),
        (lambda r: r.command("x")(no_message), TypeError, "no_message.*called with"),
        (lambda r: r.topic("")(print), ValueError, "empty"),
        (lambda r: r.topic("<class x>.a")(print), ValueError, "class x"),
        (lambda r: r.topic(5), TypeError, "pattern"),
        (lambda r: r.topic("a.<region>")(no_words), TypeError, "no_words.*region"),
        (lambda r: r.default(no_message), TypeError, "no_message"),
        (lambda r: r.include("routes"), TypeError, "str"),
        (lambda r: r.include(r), ValueError, "themselves"),
        (lambda r: r.remove(print), ValueError, "print"),
    ],
)
def test_misuse_raises_at_the_call_and_names_what_is_wrong(routes, wrong, error, says):
    with pytest.raises(error, match=says):
        wrong(routes)


def test_a_command_has_one_callback_also_where_it_is_included(routes, heard):
    routes.command("a.x")(heard.by("first"))
    module = Routes()
    module.command("x")(heard.by("second"))
    with pytest.raises(ValueError, match=r"'a\.x' has a callback already"):
        routes.include(module, prefix="a")
    routes.include(module, prefix="b")
    assert routes.dispatch(Message("b.x")) == "second"
    routes.command("b.y")(heard.by("third"))
    with pytest.raises(ValueError, match=r"'b\.y'"):
        module.command("y")(heard.by("fourth"))
    assert module.dispatch(Message("y")) is None
    circle = Routes()
    circle.include(routes)
    with pytest.raises(ValueError, match="themselves"):
        module.include(circle)


def test_a_server_of_many_operations(inproc_address):
    routes = Routes()

    @routes.command("double")
    def double(message):
        return 2 * message.body["n"]

    @routes.command("fail")
    def fail(message):
        raise KeyError("no")

    with zbus.Replier(routes.dispatch, bind=inproc_address), zbus.Requester(connect=inproc_address) as client:
        assert client.request({"command": "double", "n": 21}, timeout=5) == 42
        with pytest.raises(zbus.RemoteError, match="no"):
            client.request("fail", timeout=5)
