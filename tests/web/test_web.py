"""The WSGI applications behind gevent's own server, with real clients."""

from __future__ import annotations

import http.client
import json

import gevent
import pytest
from gevent import socket
from gevent.pywsgi import WSGIServer
from waiting import LONG, until

import zbus
from zbus.web import EventStream, Status

TCP = "tcp://127.0.0.1:*"


@pytest.fixture
def serve():
    """Serves an application; returns the port."""
    servers = []

    def serve(application):
        servers.append(WSGIServer(("127.0.0.1", 0), application, log=None))
        servers[-1].start()
        return servers[-1].server_port

    yield serve
    for server in servers:
        server.stop(0)


@pytest.fixture
def publisher():
    with zbus.Publisher(bind=TCP) as publisher:
        yield publisher


@pytest.fixture
def stream(publisher):
    subscriber = zbus.Subscriber(connect=publisher.addresses, topics="#")
    with EventStream(subscriber, queue=10, keepalive=30.0) as stream:
        publisher.wait_for_subscribers("a", timeout=LONG)
        yield stream


class Browser:
    """A client that reads events as they come."""

    def __init__(self, port, path="/", **headers):
        self._socket = socket.create_connection(("127.0.0.1", port))
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(f"GET {path} HTTP/1.0\r\n{lines}\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers = dict(line.decode().strip().split(": ", 1) for line in iter(self._file.readline, b"\r\n"))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()
        self._socket.close()

    def event(self):
        """The next event; None at the end."""
        fields = {}
        with gevent.Timeout(LONG):
            for line in self._file:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    return fields["event"], json.loads(fields["data"]), fields.get("id", "")
                else:
                    fields = {}
        return None


def test_publications_arrive_as_events(stream, publisher, serve):
    with Browser(serve(stream)) as browser:
        assert (browser.status, browser.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        until(lambda: stream.statistics().clients == 1)
        for number in range(3):
            publisher.publish("orders.eu", {"number": number})
        assert [browser.event()[:2] for _ in range(3)] == [("orders.eu", {"number": number}) for number in range(3)]
    publisher.publish("orders.eu", "x" * 100_000)
    publisher.publish("orders.eu", "x" * 100_000)
    until(lambda: publisher.publish("orders.eu", "gone?") or not stream.statistics().clients)


def test_a_client_gets_what_it_asks_for(stream, publisher, serve):
    with Browser(serve(stream), "/?topic=orders.%23&topic=stock.*") as browser:
        until(lambda: stream.statistics().clients == 1)
        for topic in ("weather.oslo", "orders.eu.new", "stock.a.b", "stock.a"):
            publisher.publish(topic, topic)
        assert [browser.event()[1] for _ in range(2)] == ["orders.eu.new", "stock.a"]


def test_one_that_comes_back_gets_the_newest_of_each_topic_that_it_missed(stream, publisher, serve):
    port = serve(stream)
    with Browser(port) as browser:
        until(lambda: stream.statistics().clients == 1)
        for topic, body in (("a", 1), ("b", 1)):
            publisher.publish(topic, body)
        _, last = (browser.event() for _ in range(2))
    for topic, body in (("a", 2), ("a", 3), ("c", 1)):
        publisher.publish(topic, body)
    until(lambda: stream.statistics().received == 5)
    with Browser(port, Last_Event_ID=last[2]) as browser:
        assert [browser.event()[:2] for _ in range(2)] == [("a", 3), ("c", 1)]
    with Browser(port, "/?topic=b", Last_Event_ID="another process-7") as browser:
        assert browser.event()[:2] == ("b", 1)


def test_one_that_saw_a_number_of_five_thousand_digits_gets_the_newest_too(stream, publisher, serve):
    publisher.publish("a", 1)
    until(lambda: stream.statistics().received == 1)
    with Browser(serve(stream), Last_Event_ID=f"{stream._stream}-{'9' * 5000}") as browser:
        assert browser.event()[:2] == ("a", 1)


def test_a_stalled_client_costs_the_others_nothing_and_is_told_what_it_missed(stream, publisher, serve):
    port = serve(stream)
    stalled = stream.listen()
    assert next(stalled).startswith(b"retry")
    with Browser(port) as browser:
        until(lambda: stream.statistics().clients == 2)
        for number in range(200):
            publisher.publish("a", number)
            assert browser.event()[1] == number
    assert stream.statistics().dropped == 190
    chunk = next(stalled)
    assert chunk.startswith(b"event: dropped\ndata: 190\n\n")
    assert chunk.count(b"event: a") == 10
    stalled.close()


def test_what_no_browser_could_read_is_counted_and_left_out(stream, publisher):
    events = stream.listen("a")
    next(events)
    publisher.publish("a", float("nan"))
    publisher.publish("a", 1)
    assert b"data: 1\n" in next(events)
    assert stream.statistics().malformed == 1
    events.close()


def test_a_subscriber_that_asked_for_nothing_is_an_error_at_the_start():
    with pytest.raises(ValueError, match="not subscribed"):
        EventStream(zbus.Subscriber(connect="inproc://x")).start()


def test_stopping_ends_every_answer_and_refuses_the_next(publisher, serve):
    stream = EventStream(zbus.Subscriber(connect=publisher.addresses, topics="#"))
    port = serve(stream)
    with Browser(port) as browser:
        until(lambda: stream.statistics().clients == 1)
        stream.stop()
        assert browser.event() is None
    with Browser(port) as browser:
        assert (browser.status, browser.headers["Retry-After"]) == (503, "1")
    with pytest.raises(zbus.Closed):
        stream.listen()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/", 405), ("GET", "/?topic=%3Ca+b%3E", 400), ("HEAD", "/", 200)]
)
def test_bad_requests_are_refused_and_leave_nothing(stream, serve, method, path, status):
    connection = http.client.HTTPConnection("127.0.0.1", serve(stream))
    answer = gevent.get_hub().threadpool.apply(ask, (connection, method, path))
    assert answer == status
    assert stream.statistics().clients == 0


def ask(connection, method, path):
    connection.request(method, path)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: EventStream("tcp://127.0.0.1:1"), TypeError, "str"),
        (lambda: EventStream(zbus.Subscriber(connect="inproc://x"), queue=0), ValueError, "queue"),
        (lambda: EventStream(zbus.Subscriber(connect="inproc://x"), keepalive=0), ValueError, "keepalive"),
        (lambda: Status("bus"), TypeError, "str"),
    ],
)
def test_misuse_raises_at_the_call_and_names_what_is_wrong(wrong, error, says):
    with pytest.raises(error, match=says):
        wrong()


def test_a_bus_owns_a_stream_and_its_status_tells_of_everything(serve, publisher):
    with zbus.Bus(name="<shop>") as bus:
        bus.add(EventStream(zbus.Subscriber(connect=publisher.addresses, topics="#", name="news")))
        bus.add(zbus.Pull(bind=TCP, name="<orders>"))
        bus.add(zbus.Dispatcher())
        port = serve(Status(bus))
        with Browser(port, "/?format=json") as browser:
            told = json.loads(browser._file.read())
        assert (told["bus"], told["state"]) == ("<shop>", "open")
        assert set(told["services"]) == {"EventStream", "<orders>", "Dispatcher"}
        assert told["services"]["<orders>"]["statistics"]["peers"] == 0
        with Browser(port) as browser:
            page = browser._file.read().decode()
        assert browser.headers["Content-Type"].startswith("text/html")
        assert "&lt;orders&gt;" in page
        assert "<orders>" not in page
