"""Row AC-1 with real sockets: what somebody who came in may request, send, publish and subscribe to."""

from __future__ import annotations

import pytest
from patterns.conftest import Events
from waiting import LONG, until

import zbus

TCP = "tcp://127.0.0.1:*"


def test_a_request_that_is_not_his_is_denied_and_does_not_run(make, court, caplog):
    """Row AC-1."""
    ran = []
    server = make(
        zbus.Replier, lambda m: ran.append(m.body), bind=TCP, security=court.server("@trader allow request price.#")
    )
    court.authorise("bob")
    clients = {
        name: make(zbus.Requester, connect=server.addresses, security=court.client(name)) for name in ("alice", "bob")
    }
    clients["alice"].request("price.oslo", timeout=LONG)
    for name, body in (("alice", "stop"), ("bob", "price.oslo"), ("alice", {"command": "stop"}), ("alice", 5)):
        with pytest.raises(zbus.Denied, match=f"{name} may not"):
            clients[name].request(body, timeout=LONG)
    assert ran == ["price.oslo"]
    assert server.statistics().denied == 4
    assert "may not request" in caplog.text


def test_what_he_may_not_send_or_publish_is_dropped_and_counted(make, court):
    """Row AC-1."""
    rules = ("alice allow send go.#", "alice allow publish news.#", "alice deny publish news.secret.#")
    events = Events()
    pull = make(zbus.Pull, bind=TCP, security=court.server(*rules), on_event=events)
    push = make(zbus.Push, connect=pull.addresses, security=court.client("alice"))
    for body in ("stop", "go.on", "go.back"):
        push.send(body)
    assert [pull.recv(timeout=LONG).body for _ in range(2)] == ["go.on", "go.back"]
    assert events.wait_for("denied").reason == "alice may not send 'stop'"
    listener = make(zbus.Subscriber, bind=TCP, topics="#", security=court.server(*rules))
    publisher = make(zbus.Publisher, connect=listener.addresses, security=court.client("alice"))
    publisher.wait_for_subscribers("news", timeout=LONG)
    for topic in ("other", "news.secret.x", "news.eu"):
        publisher.publish(topic, 1)
    message = listener.recv(timeout=LONG)
    assert (message.topic, message.user) == ("news.eu", "alice")
    assert (pull.statistics().denied, listener.statistics().denied) == (1, 2)


def test_a_subscriber_hears_what_is_his_and_nothing_else(make, court):
    """Row AC-1."""
    rules = ("@trader allow subscribe price.#", "* deny subscribe price.secret.#")
    publisher = make(zbus.Publisher, bind=TCP, security=court.server(*rules))

    def listen(*topics):
        return make(zbus.Subscriber, connect=publisher.addresses, topics=topics, security=court.client("alice"))

    his, theirs = listen("price.eu.#", "price.us"), listen("#", "price.#", "other", b"pri", "price.secret.x")
    publisher.wait_for_subscribers("price.eu.x", timeout=LONG)
    publisher.wait_for_subscribers("price.us", timeout=LONG)
    until(lambda: publisher.statistics().denied == 5)
    for topic in ("other", "price", "price.secret.x", "price.eu.x", "price.us"):
        publisher.publish(topic, topic)
    assert [his.recv(timeout=LONG).topic for _ in range(2)] == ["price.eu.x", "price.us"]
    with pytest.raises(zbus.TimeoutExpired):
        theirs.recv(timeout=0)
    his.close()
    with pytest.raises(zbus.TimeoutExpired):
        until(lambda: publisher.wait_for_subscribers("price.us", timeout=0))


def test_without_rules_who_came_in_may_do_everything(make, court):
    publisher = make(zbus.Publisher, bind=TCP, security=court.server())
    listener = make(zbus.Subscriber, connect=publisher.addresses, topics="#", security=court.client("alice"))
    publisher.wait_for_subscribers("a", timeout=LONG)
    publisher.publish("a", 1)
    assert listener.recv(timeout=LONG).body == 1
