"""What each device does, over every transport."""

from __future__ import annotations

import gevent
import pytest
from waiting import until

import zbus
from zbus import devices

LONG = 5.0


def twice(message):
    return 2 * message.body


def work(device, make, count=2):
    return [make(zbus.Replier, twice, connect=device.backend.addresses) for _ in range(count)]


def test_a_queue_hands_requests_to_its_servers_in_turn(make, run):
    device = run(devices.queue)
    servers = work(device, make)
    device.backend.wait_for_peers(2, timeout=LONG)
    client = make(zbus.Requester, connect=device.frontend.addresses)
    assert [client.request(number, timeout=LONG) for number in range(10)] == [2 * number for number in range(10)]
    assert [server.statistics().received for server in servers] == [5, 5]
    statistics = device.statistics()
    assert (statistics.messages_in, statistics.messages_out) == (10 * run.counts, 10 * run.counts)
    assert min(statistics.bytes_in, statistics.bytes_out) > 10 * 20


def test_many_clients_share_a_queue_and_each_gets_its_own_replies(make, run):
    device = run(devices.queue)
    work(device, make)
    clients = [make(zbus.Requester, connect=device.frontend.addresses) for _ in range(3)]
    calls = [(n, gevent.spawn(clients[n % 3].request, n, timeout=LONG)) for n in range(60)]
    assert all(call.get(timeout=LONG) == 2 * number for number, call in calls)


def test_requests_wait_with_their_clients_until_a_server_comes(make, two):
    device = make(devices.queue, *two)
    client = make(zbus.Requester, connect=device.frontend.addresses)
    calls = [gevent.spawn(client.request, number, timeout=LONG) for number in range(5)]
    until(lambda: device.statistics().waiting == 1)
    assert device.statistics().messages_in == 0
    work(device, make, 1)
    assert [call.get(timeout=LONG) for call in calls] == [0, 2, 4, 6, 8]


def test_a_forwarder_passes_subscriptions_up_and_publications_down(make, run):
    device = run(devices.forwarder)
    publishers = [make(zbus.Publisher, connect=device.frontend.addresses) for _ in range(2)]
    subscriber = make(zbus.Subscriber, connect=device.backend.addresses, topics="9.#")
    for publisher in publishers:
        publisher.wait_for_subscribers("9.x", timeout=LONG)
        with pytest.raises(zbus.TimeoutExpired):
            publisher.wait_for_subscribers("8.x", timeout=0)
    for number, publisher in enumerate(publishers):
        publisher.publish("8.x", number)
        publisher.publish("9.x", number)
    assert sorted(subscriber.recv(timeout=LONG).body for _ in range(2)) == [0, 1]
    if run.counts == 1:
        assert device.statistics().messages_in == 2, "what nobody asked for does not come this far"
    subscriber.unsubscribe("9.#")
    until(lambda: not publishers[0]._audience)


def test_a_forwarder_passes_on_more_subscriptions_than_a_queue_holds(make, run):
    device = run(devices.forwarder)
    publisher = make(zbus.Publisher, connect=device.frontend.addresses)
    publisher.wait_for_peers(timeout=LONG)
    make(zbus.Subscriber, connect=device.backend.addresses, topics=[f"t.{number}.#" for number in range(3000)])
    until(lambda: len(publisher._audience) == 3000)


def test_a_streamer_shares_the_work_evenly_and_in_order(make, run):
    device = run(devices.streamer)
    workers = [make(zbus.Pull, connect=device.backend.addresses) for _ in range(2)]
    device.backend.wait_for_peers(2, timeout=LONG)
    feeder = make(zbus.Push, connect=device.frontend.addresses)
    for number in range(100):
        feeder.send(number, timeout=LONG)
    shares = [[worker.recv(timeout=LONG).body for _ in range(50)] for worker in workers]
    assert sorted(shares) == [list(range(0, 100, 2)), list(range(1, 100, 2))]
    assert device.statistics().messages_in == 100


def test_a_full_far_side_holds_up_the_senders_and_loses_nothing(make, two):
    front, back = (devices.Side(bind=address, high_water_mark=1) for address in two)
    device = make(devices.streamer, front, back)
    feeder = make(zbus.Push, connect=device.frontend.addresses, high_water_mark=1)
    body, sent = b"x" * 900_000, []

    def feed():
        for number in range(60):
            feeder.send([number, body])
            sent.append(number)

    feeding = gevent.spawn(feed)
    until(lambda: device.statistics().waiting == 1 and feeder._readiness.writers)
    assert len(sent) < 60
    worker = make(zbus.Pull, connect=device.backend.addresses)
    assert [worker.recv(timeout=LONG).body[0] for _ in range(60)] == list(range(60))
    feeding.get(timeout=LONG)


def test_a_monitored_queue_publishes_both_ways_envelopes_included(make, two, address):
    third = address if address.endswith(":*") else f"{address}.m"
    device = make(devices.monitored_queue, *two, third)
    watcher = make(zbus.Subscriber, connect=device.monitor.addresses, topics=b"", codec="frames")
    device.monitor.wait_for_peers(timeout=LONG)
    work(device, make, 1)
    client = make(zbus.Requester, connect=device.frontend.addresses)
    heard = gevent.spawn(lambda: [watcher.recv(timeout=LONG).body for _ in range(2)])
    with gevent.Timeout(LONG):
        while not heard.ready():
            assert client.request(21, timeout=LONG) == 42
    for way, body, frames in zip((b"in", b"out"), (b"\x15", b"\x2a"), heard.get(), strict=True):
        assert frames[0] == way
        assert (frames[-2], frames[-1]) == (b"", body)
        assert len(frames) == 5, "way, client, correlation, delimiter, body"


def test_paused_it_moves_nothing_and_resumed_it_loses_nothing(make, two):
    device = make(devices.streamer, *two)
    feeder = make(zbus.Push, connect=device.frontend.addresses)
    worker = make(zbus.Pull, connect=device.backend.addresses)
    device.backend.wait_for_peers(timeout=LONG)
    device.pause()
    device.pause()
    for number in range(10):
        feeder.send(number, timeout=LONG)
    with pytest.raises(zbus.TimeoutExpired):
        worker.recv(timeout=0.05)
    device.resume()
    device.resume()
    assert [worker.recv(timeout=LONG).body for _ in range(10)] == list(range(10))


def test_paused_with_a_message_in_hand_it_keeps_it(make, two):
    device = make(devices.streamer, *two)
    feeder = make(zbus.Push, connect=device.frontend.addresses)
    for number in range(3):
        feeder.send(number, timeout=LONG)
    until(lambda: device.statistics().waiting == 1)
    device.pause()
    worker = make(zbus.Pull, connect=device.backend.addresses)
    device.backend.wait_for_peers(timeout=LONG)
    assert device.statistics().waiting == 1
    device.resume()
    assert [worker.recv(timeout=LONG).body for _ in range(3)] == [0, 1, 2]


def test_stopping_it_moves_what_has_come(make, two):
    device = make(devices.streamer, *two)
    feeder = make(zbus.Push, connect=device.frontend.addresses)
    worker = make(zbus.Pull, connect=device.backend.addresses)
    device.backend.wait_for_peers(timeout=LONG)
    device.pause()
    for number in range(10):
        feeder.send(number, timeout=LONG)
    until(lambda: device._engine.sides["frontend"].socket.poll(0))
    device.stop()
    assert device.statistics().messages_in > 0
    assert [worker.recv(timeout=LONG).body for _ in range(device.statistics().messages_in)] == list(
        range(device.statistics().messages_in)
    )


def test_stopping_with_nobody_at_the_back_does_not_wait_for_anybody(make, two):
    device = make(devices.streamer, *two)
    feeder = make(zbus.Push, connect=device.frontend.addresses, linger=0)
    feeder.send(1, timeout=LONG)
    until(lambda: device.statistics().waiting == 1)
    with gevent.Timeout(LONG):
        device.stop(timeout=2 * LONG)


def test_stopping_waits_for_a_worker_to_take_what_is_in_hand(make, two):
    front, back = (devices.Side(bind=address, high_water_mark=1) for address in two)
    device = make(devices.streamer, front, back)
    feeder = make(zbus.Push, connect=device.frontend.addresses, high_water_mark=1, linger=0)
    worker = make(zbus.Pull, connect=device.backend.addresses, high_water_mark=1)
    body = b"x" * 900_000
    sent = gevent.spawn(lambda: [feeder.send([number, body]) for number in range(60)])
    until(lambda: device.statistics().waiting == 1)
    stopping = gevent.spawn(device.stop, LONG)
    until(lambda: device.state != "open")
    came = [worker.recv(timeout=LONG).body[0]]
    with gevent.Timeout(LONG):
        while not stopping.ready() or came[-1] < device.statistics().messages_in - 1:
            try:
                came.append(worker.recv(timeout=0).body[0])
            except zbus.TimeoutExpired:
                gevent.idle()
    sent.kill()
    assert came == list(range(device.statistics().messages_in))
    assert device.statistics().waiting == 0


def test_a_device_goes_on_while_peers_come_and_go(make, run):
    device = run(devices.queue)
    client = make(zbus.Requester, connect=device.frontend.addresses)
    for round_ in range(2):
        server = make(zbus.Replier, twice, connect=device.backend.addresses)
        device.backend.wait_for_peers(timeout=LONG)
        assert client.request(round_, timeout=LONG, attempts=3) == 2 * round_
        server.close()  # and not stop: that would wait for the device to leave
        until(lambda: device.backend.peers == 0)


def test_a_reply_to_a_client_that_has_gone_is_dropped_and_counted(make, address):
    if address.startswith("inproc"):
        pytest.skip("libzmq tells of no lost peer over inproc until it is written to")
    two = (address, address) if address.endswith(":*") else (f"{address}.f", f"{address}.b")
    device = make(devices.queue, *two)
    hold = gevent.event.Event()
    make(zbus.Replier, lambda message: hold.wait(), connect=device.backend.addresses)
    client = zbus.Requester(connect=device.frontend.addresses, heartbeat=None)
    call = gevent.spawn(client.request, 1, timeout=LONG)
    until(lambda: device.statistics().messages_in == 1)
    client.close()
    with pytest.raises(zbus.Closed):
        call.get(timeout=LONG)
    until(lambda: device.frontend.peers == 0)
    hold.set()
    until(lambda: device.statistics().dropped == 1)


def test_a_reply_to_a_client_that_has_gone_costs_the_others_nothing(make, run):
    device = run(devices.queue)
    if str(device.frontend.addresses).count("inproc"):
        pytest.skip("libzmq tells of no lost peer over inproc until it is written to")
    begun, hold = gevent.event.Event(), gevent.event.Event()

    def handle(message):
        if message.body == "held":
            begun.set()
            hold.wait()
        return message.body

    server = make(zbus.Replier, handle, connect=device.backend.addresses)
    client = zbus.Requester(connect=device.frontend.addresses)
    gone = gevent.spawn(client.request, "held", timeout=LONG)
    assert begun.wait(LONG)
    client.close()
    with pytest.raises(zbus.Closed):
        gone.get(timeout=LONG)
    until(lambda: device.frontend.peers == 0)
    hold.set()
    until(lambda: server.statistics().sent == 1)
    other = make(zbus.Requester, connect=device.frontend.addresses)
    assert [other.request(number, timeout=LONG) for number in range(10)] == list(range(10))
