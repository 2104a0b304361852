"""CURVE between real sockets: who comes in, who is told what, and who is whose."""

from __future__ import annotations

import logging
from time import monotonic

import gevent
import pytest
import zmq
from faults.foreign import foreign
from patterns.conftest import Events
from waiting import LONG, until

import zbus
from zbus import devices
from zbus.green import authentication, denials
from zbus.green.curve import fingerprint
from zbus.security.keyfile import read_public, read_secret

TCP = "tcp://127.0.0.1:*"


@pytest.fixture(params=["ipc", "tcp"])
def where(request, ipc_address):
    return ipc_address if request.param == "ipc" else TCP


@pytest.fixture
def whoami(make, court, where):
    """A server that says who asks."""
    return make(zbus.Replier, lambda message: message.user, bind=where, security=court.server())


def ask(make, server, security, **options):
    return make(zbus.Requester, connect=server.addresses, security=security, **options)


def test_a_handler_sees_who_asks(make, court, whoami):
    assert ask(make, whoami, court.client("alice")).request(None, timeout=LONG) == "alice"


def test_a_receiver_sees_who_sends(make, court, where):
    with zbus.Pull(bind=where, security=court.server()) as pull:
        push = make(zbus.Push, connect=pull.addresses, security=court.client("alice"))
        push.send(1)
        push.send(2, headers={"a": "b"})
        first, second = (pull.recv(timeout=LONG) for _ in range(2))
        assert [(first.body, first.user), (second.body, second.user)] == [(1, "alice"), (2, "alice")]
        push.send(3)
        assert next(iter(pull)).user == "alice"


def test_publications_are_encrypted_both_ways(make, court, where):
    publisher = make(zbus.Publisher, bind=where, security=court.server())
    listener = make(zbus.Subscriber, connect=publisher.addresses, topics="#", security=court.client("alice"))
    publisher.wait_for_subscribers("a", timeout=LONG)
    publisher.publish("a", 1)
    message = listener.recv(timeout=LONG)
    assert (message.body, message.user) == (1, "")  # of the server it is known that it is the one


@pytest.mark.parametrize(
    ("name", "server", "reason"),
    [("mallory", "server", "does not know our key"), ("alice", "other", "wrong server key")],
)
def test_who_is_refused_is_told_at_once_and_nothing_is_delivered(make, court, whoami, caplog, name, server, reason):
    """Rows AU-1, an unknown key, and AU-2, a wrong one of the server's."""
    client = ask(make, whoami, court.client(name, server))
    began = monotonic()
    with pytest.raises(zbus.Denied, match=reason):
        client.request("secret payload", timeout=LONG)
    assert monotonic() - began < 1
    with pytest.raises(zbus.Denied, match=reason):
        client.wait_for_peers(timeout=0)
    assert whoami.statistics().received == 0
    assert "secret payload" not in caplog.text
    until(lambda: "refused at" in caplog.text)
    assert [record.getMessage().startswith("refused at ") for record in caplog.records].count(True) == 1


def test_many_that_wait_are_all_told(make, court, whoami):
    client = ask(make, whoami, court.client("mallory"))
    asking = [gevent.spawn(client.request, None, timeout=LONG) for _ in range(20)]
    for greenlet in asking:
        with pytest.raises(zbus.Denied):
            greenlet.get(timeout=LONG)


def test_senders_receivers_and_those_who_wait_for_subscribers_are_told(make, court):
    pull = make(zbus.Pull, bind=TCP, security=court.server())
    publisher = make(zbus.Publisher, bind=TCP, security=court.server())
    security = court.client("mallory")
    listener = make(zbus.Subscriber, connect=publisher.addresses, topics="#", security=security)
    with pytest.raises(zbus.Denied):
        listener.recv(timeout=LONG)
    with pytest.raises(zbus.Denied):
        next(iter(listener))
    push = make(zbus.Push, connect=pull.addresses, security=security, high_water_mark=1)
    with pytest.raises(zbus.Denied):
        [push.send(1, timeout=LONG) for _ in range(1000)]
    assert pull.statistics().received == 0


@pytest.mark.parametrize("encrypted", ["server", "client"])
def test_one_side_without_a_key_is_told_of_on_both(make, court, encrypted, caplog):
    """Row AU-3."""
    security = {"server": court.server(), "client": court.client("alice")}[encrypted]
    events = Events()
    server = make(
        zbus.Replier, lambda m: 1, bind=TCP, security=security if encrypted == "server" else None, on_event=events
    )
    client = ask(make, server, security if encrypted == "client" else None)
    began = monotonic()
    with pytest.raises(zbus.Denied, match="encrypted"):
        client.request(None, timeout=LONG)
    assert "key" in events.wait_for("denied").reason
    assert monotonic() - began < 1


def test_who_is_denied_stands_back_and_comes_in_once_the_key_is_granted(make, court, whoami, monkeypatch):
    monkeypatch.setattr(denials, "FIRST", 0.05)
    events = Events()
    client = ask(make, whoami, court.client("bob"), on_event=events)
    with pytest.raises(zbus.Denied):
        client.request(None, timeout=LONG)
    events.wait_for("denied", 3)
    court.authorise("bob")
    events.wait_for("connected")
    assert client.request(None, timeout=LONG) == "bob"


def test_one_stands_back_for_a_second_and_twice_as_long_each_time():
    """Row AU-2."""
    times = denials.Denials("", lambda address, reason: None)
    assert times.pause("here") == 0
    pauses = []
    for _ in range(8):
        times.failed("here", denials._AUTH, 400)
        pauses.append(times.pause("here"))
    assert all(
        least <= pause <= 1.25 * least for least, pause in zip((1, 2, 4, 8, 16, 30, 30, 30), pauses, strict=True)
    )
    times.admitted("here")
    assert (times.pause("here"), times.reasons) == (0, {})


def test_a_key_may_be_changed_under_load_and_nobody_is_dropped(make, court, whoami):
    """Row KY-1."""
    old = ask(make, whoami, court.client("alice"))
    asking = gevent.spawn(lambda: [old.request(None, timeout=LONG) for _ in range(300)])
    court.authorise("new")
    assert ask(make, whoami, court.client("new")).request(None, timeout=LONG) == "new"
    court.revoke("alice")
    with pytest.raises(zbus.Denied):
        ask(make, whoami, court.client("alice")).request(None, timeout=LONG)
    assert asking.get(timeout=LONG) == ["alice"] * 300
    assert old.statistics().retried == 0


def test_a_thousand_refusals_are_a_line_a_second_with_address_and_fingerprint(make, court, caplog, monkeypatch):
    """Row AU-1: one line a peer and second, however often he comes."""
    server = make(zbus.Pull, bind=TCP, security=court.server())
    where, decide, asked = server.addresses[0], authentication.decide, []
    monkeypatch.setattr(authentication, "decide", lambda frames: asked.append(1) or decide(frames))
    began = monotonic()
    with foreign(zmq.PUSH) as many:  # a DEALER connects to one place once
        many.curve_publickey, many.curve_secretkey = read_secret(court.key("mallory"))
        many.curve_serverkey = read_public(court.key("server").with_suffix(".pub"))
        for _ in range(1000):
            many.connect(where)
        until(lambda: len(asked) >= 1000, 4 * LONG)
        until(lambda: not server._port.monitor._pending)
    lines = [record.getMessage() for record in caplog.records if "refused at" in record.getMessage()]
    assert 1 <= len(lines) <= 1 + (monotonic() - began)
    known = fingerprint(read_public(court.key("mallory").with_suffix(".pub")))
    assert set(lines) == {f"refused at {where}: 127.0.0.1: the key {known} is not authorised"}


def test_each_address_that_is_refused_has_a_line_of_its_own(monkeypatch):
    """Row AU-1."""
    now = monotonic()
    monkeypatch.setattr(authentication, "monotonic", lambda: now)
    told = []
    for second in range(3):
        for number in range(1000):
            peer = f"192.0.2.{number % 4}".encode()
            authentication.decide([b"1.0", b"1", authentication.LOCAL, peer, b"", b"NULL"])
            told += authentication.refusals(authentication.LOCAL)
        assert len(told) == 4 * (second + 1)
        now += 1.0
    assert {peer for peer, _ in told} == {f"192.0.2.{number}" for number in range(4)}


def test_a_queue_does_not_pass_on_who_asks(make, court):
    """The servers behind a device see the device: it has proved who it is, its clients have only to the device."""
    server = make(zbus.Replier, lambda message: message.user, bind=TCP, security=court.server())
    court.authorise("queue")
    front = devices.Side(bind=TCP, security=court.server())
    back = devices.Side(connect=server.addresses, security=court.client("queue"))
    with devices.queue(front, back) as queue:
        client = make(zbus.Requester, connect=queue.frontend.addresses, security=court.client("alice"))
        assert client.request(None, timeout=LONG) == "queue"


@pytest.mark.parametrize("runs_in", ["thread", "process"])
def test_a_device_elsewhere_has_the_same_walls(make, court, runs_in):
    server = make(zbus.Replier, lambda message: message.user, bind=TCP, security=court.server())
    court.authorise("queue")
    front = devices.Side(bind=TCP, security=court.server())
    back = devices.Side(connect=server.addresses, security=court.client("queue"))
    with devices.queue(front, back, runs_in=runs_in) as queue:
        where = queue.frontend.addresses
        assert (
            make(zbus.Requester, connect=where, security=court.client("alice")).request(None, timeout=LONG) == "queue"
        )
        with pytest.raises(zbus.Denied):
            make(zbus.Requester, connect=where, security=court.client("mallory")).request(None, timeout=LONG)
        with pytest.raises(zbus.Denied):
            make(zbus.Requester, connect=where).request(None, timeout=LONG)


@pytest.mark.parametrize("runs_in", ["greenlet", "thread", "process"])
def test_no_device_passes_on_who_sends_or_publishes(make, court, runs_in):
    """A receiver knows the device, and of a publisher that it is the one it asked for: nothing of who is behind."""
    court.authorise("device")
    pull = make(zbus.Pull, bind=TCP, security=court.server())
    listener = make(zbus.Subscriber, bind=TCP, topics="#", security=court.server())
    fronts = [devices.Side(bind=TCP, security=court.server()) for _ in range(2)]
    backs = [devices.Side(connect=one.addresses, security=court.client("device")) for one in (pull, listener)]
    with (
        devices.streamer(fronts[0], backs[0], runs_in=runs_in) as streamer,
        devices.forwarder(fronts[1], backs[1], runs_in=runs_in) as forwarder,
    ):
        make(zbus.Push, connect=streamer.frontend.addresses, security=court.client("alice")).send(1)
        assert pull.recv(timeout=LONG).user == "device"
        publisher = make(zbus.Publisher, connect=forwarder.frontend.addresses, security=court.client("alice"))
        publisher.wait_for_subscribers("a", timeout=LONG)
        publisher.publish("a", 1)
        assert listener.recv(timeout=LONG).user == "device"


def test_a_device_has_no_rules(court):
    with pytest.raises(ValueError, match="rules are for the endpoints"):
        devices.Side(bind=TCP, security=court.server("alice allow request #"))


def test_the_security_of_a_bus_reaches_what_it_owns(make, court):
    bus = zbus.Bus(security=court.server())
    replier = bus.add(zbus.Replier(lambda message: message.user, bind=TCP))
    queue = bus.add(devices.streamer(TCP, TCP))
    dispatcher = bus.add(zbus.Dispatcher())
    heard = []
    pull = dispatcher.add(zbus.Pull(bind=TCP), lambda message: heard.append(message.user))
    open_door = bus.add(zbus.Pull(bind=TCP, insecure=True))
    with bus:
        for where in (replier.addresses, queue.frontend.addresses, pull.addresses):
            with pytest.raises(zbus.Denied):
                make(zbus.Push, connect=where).wait_for_peers(timeout=LONG)
        make(zbus.Push, connect=open_door.addresses).wait_for_peers(timeout=LONG)
        make(zbus.Push, connect=pull.addresses, security=court.client("alice")).send(1)
        until(lambda: heard == ["alice"])
        assert ask(make, replier, court.client("alice")).request(None, timeout=LONG) == "alice"
    pull.close()


def test_what_is_open_already_cannot_be_secured(make, court):
    bus = zbus.Bus(security=court.server())
    with zbus.Pull(bind=TCP) as pull, pytest.raises(ValueError, match="open already"):
        bus.add(pull)
    bus.close()


def test_no_key_and_no_path_of_another_is_shown(court, caplog):
    caplog.set_level(logging.DEBUG)
    server, client = court.server(), court.client("alice")
    secrets = [line.split()[1] for path in court.folder.glob("*.key") for line in path.read_text().splitlines()[1:]]
    assert len(secrets) >= 4
    shown = repr(server) + repr(client) + repr(zbus.Pull(bind=TCP, security=server)) + caplog.text
    assert not any(secret in shown for secret in secrets)


@pytest.mark.parametrize(
    "address", ["tcp://*:*", "tcp://0.0.0.0:*", "tcp://192.0.2.1:5556", "tcp://[::]:*", "tcp://eth0:*"]
)
def test_beyond_this_machine_it_takes_a_key_or_a_word(address):
    """Row BI-1."""
    with pytest.raises(zbus.InsecureBind, match="insecure=True"):
        zbus.Pull(bind=address).start()


def test_connecting_beyond_this_machine_takes_a_key_or_a_word():
    with zbus.Push(connect="tcp://127.0.0.1:9") as push, pytest.raises(zbus.InsecureBind):
        push.connect("tcp://example.org:5556")


def test_insecure_is_spelled_out_and_warned_of(make, caplog):
    """Row BI-1."""
    with zbus.Pull(bind="tcp://0.0.0.0:*", insecure=True) as pull:
        port = pull.addresses[0].rpartition(":")[2]
        make(zbus.Push, connect=f"tcp://127.0.0.1:{port}").send(1)
        assert pull.recv(timeout=LONG).body == 1
    assert "whoever reaches" in caplog.text


def test_with_a_key_it_may_be_beyond_this_machine(make, court):
    with zbus.Pull(bind="tcp://0.0.0.0:*", security=court.server()) as pull:
        where = f"tcp://127.0.0.1:{pull.addresses[0].rpartition(':')[2]}"
        make(zbus.Push, connect=where, security=court.client("alice")).send(1)
        assert pull.recv(timeout=LONG).user == "alice"
