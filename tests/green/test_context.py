"""One context a process: what a fork, an end and the interpreter's exit do to what is open."""

from __future__ import annotations

import subprocess
from time import monotonic

import gevent
import pytest
import zmq
from green.rig import command, run

import zbus
from zbus.green import Context, Socket, context

FORK = """
import os, resource
import gevent, zmq, zbus
from zbus.errors import Closed
from zbus.green.context import open_socket

resource.setrlimit(resource.RLIMIT_CPU, (15, 15))  # a child that spins ends, too

def quiet(function, *arguments, **words):
    def call():
        try:
            return function(*arguments, **words)
        except Closed as error:
            return error
    def said():
        found = call()
        told.append(type(found).__name__ if isinstance(found, Exception) else found)
    told = []
    greenlet = gevent.spawn(said)
    greenlet.told = told
    return greenlet

def wait(greenlets):
    gevent.joinall(greenlets, timeout=5)
    return [greenlet.told[0] if greenlet.told else "still waiting" for greenlet in greenlets]
"""


def test_a_process_has_one_context_of_green_sockets() -> None:
    mine = context()
    assert mine is context()
    assert isinstance(mine, Context)
    assert mine.get(zmq.MAX_SOCKETS) > 1023
    with mine.socket(zmq.PAIR) as socket:
        assert type(socket) is Socket


def test_a_forked_child_wakes_who_was_parked_and_refuses_what_it_inherited() -> None:
    said = run(
        FORK
        + """
a, b = open_socket(zmq.PAIR), open_socket(zmq.PAIR)
for socket in (a, b):
    socket.set(zmq.SNDHWM, 1); socket.set(zmq.RCVHWM, 1); socket.set(zmq.LINGER, 0)
a.bind("inproc://forked"); b.connect("inproc://forked")
while b.offer([b""]):
    pass
waiting = [quiet(b.recv)]
while not b.readiness.readers:  # he is to be first in the queue, also where the others' turn comes before his
    gevent.sleep(0)
waiting += [quiet(b.recv_multipart), quiet(b.receive), quiet(b.poll), quiet(b.send, b"")]
while len(b.readiness.readers) + len(b.readiness.writers) < 5:
    gevent.sleep(0)
pid = os.fork()
if not pid:
    print(*wait(waiting))
    for verb, given in {
        "recv": (), "receive": (), "take": (), "poll": (), "send": (b"",), "send_multipart": ([b""],),
        "offer": ([b""],),
        "get": (zmq.EVENTS,), "set": (zmq.LINGER, 0), "bind": ("inproc://x",),
    }.items():
        try:
            getattr(a, verb)(*given)
        except Closed:
            print("Closed", end=" ")
    print(a.closed, repr(a), flush=True)
    a.close()
    c, d = open_socket(zmq.PAIR), open_socket(zmq.PAIR)
    c.bind("inproc://forked"); d.connect("inproc://forked")
    d.send(b"anew")
    print(c.recv(timeout=5), flush=True)
    c.close(); d.close()
    os._exit(0)
print(os.waitpid(pid, 0)[1], flush=True)
a.send(b"1"); print(waiting[0].join(5), waiting[0].told)
gevent.killall(waiting)
a.close(); b.close()
"""
    )
    lines = said.splitlines()
    assert lines[0].split() == ["Closed"] * 5
    assert lines[1] == "Closed " * 10 + "True <zbus.green.Socket of the parent process>"
    assert lines[2:] == ["b'anew'", "0", "None [b'1']"]


def test_a_forked_child_opens_endpoints_anew_and_leaves_its_parents_alone() -> None:
    said = run(
        FORK
        + """
pull = zbus.Pull(bind="tcp://127.0.0.1:*")
requester = zbus.Requester(connect="tcp://127.0.0.1:1")
publisher = zbus.Publisher(bind="tcp://127.0.0.1:*")
push = zbus.Push(connect=pull.addresses)
push.wait_for_peers(timeout=5)
requester.start(); publisher.start()
waiting = [quiet(pull.recv), quiet(push.wait_for_peers, 2), quiet(requester.request, 1),
           quiet(next, iter(pull), "ended"), quiet(publisher.wait_for_subscribers, "a")]
gevent.idle()
pid = os.fork()
if not pid:
    print(pull.state, push.state, requester.state)
    print(*wait(waiting), flush=True)
    push.send("from the child")
    push.close()
    os._exit(0)
while True:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        break
    gevent.sleep(0.005)
waiting[0].join(5)
print(status, waiting[0].told[0].body)
push.send("from the parent")
print(waiting[3].join(5) or waiting[3].told[0].body)
gevent.killall(waiting)
for end in (pull, push, requester, publisher):
    end.close()
"""
    )
    assert said.splitlines() == [
        "declared declared declared",
        "Closed Closed Closed ended Closed",
        "0 from the child",
        "from the parent",
    ]


def test_a_child_that_lives_on_does_not_hold_its_parents_port_and_peers_see_the_parent_go() -> None:
    said = run(
        FORK
        + """
pull = zbus.Pull(bind="tcp://127.0.0.1:*")
address = pull.addresses[0]
watching = zbus.Push(connect=address)
watching.wait_for_peers(timeout=5)
ready, go = os.pipe()
pid = os.fork()
if not pid:
    os.close(go)
    os.read(ready, 1)
    os._exit(0)
os.close(ready)
pull.close()
with gevent.Timeout(5):
    while watching.peers:
        gevent.sleep(0.005)
again = zbus.Pull(bind=address)
again.start()
watching.send("here")
print(again.recv(timeout=5).body)
os.close(go)
print(os.waitpid(pid, 0)[1])
watching.close(); again.close()
"""
    )
    assert said.split() == ["here", "0"]


def test_a_child_is_not_woken_by_what_its_parent_receives() -> None:
    said = run(
        FORK
        + """
a, b = open_socket(zmq.PAIR), open_socket(zmq.PAIR)
a.bind("inproc://spin"); b.connect("inproc://spin")
reader = quiet(a.recv)
gevent.sleep(0)
ready, go = os.pipe()
pid = os.fork()
if not pid:
    os.close(ready)
    for tick in range(8):
        gevent.sleep(0.01)
    print("ticked", *wait([reader]), flush=True)
    os._exit(0)
b.send(b"for the parent")
reader.join(5)
print(os.waitpid(pid, 0)[1], reader.told[0])
a.close(); b.close()
"""
    )
    assert sorted(said.splitlines()) == ["0 b'for the parent'", "ticked Closed"]


def test_a_child_that_polls_while_a_message_is_on_its_way_does_not_unsubscribe_its_parent_from_it() -> None:
    said = run(
        FORK
        + """
a, b = open_socket(zmq.PAIR), open_socket(zmq.PAIR)
a.bind("inproc://poll"); b.connect("inproc://poll")
reader = quiet(a.recv)
gevent.sleep(0.001)  # the loop has polled: the kernel knows of the reader
gevent.sleep(0)  # and here it is about to poll again
sent, go = os.pipe()
pid = os.fork()
if not pid:
    os.read(sent, 1)
    gevent.sleep(0.01)
    os._exit(0)
b.send(b"for the parent")
os.write(go, b"!")
print(os.waitpid(pid, 0)[1], reader.join(5), reader.told)
a.close(); b.close()
"""
    )
    assert said == "0 None [b'for the parent']\n"


def test_a_child_that_goes_on_with_its_parents_loop_does_not_touch_the_inherited_socket() -> None:
    said = run(
        FORK
        + """
pull = zbus.Pull(bind="inproc://loop")
push = zbus.Push(connect="inproc://loop")
pull.start()
for number in range(3):
    push.send(number)
taken, pid = [], None
try:
    for message in pull:
        taken.append(message.body)
        if pid is None:
            pid = os.fork()
        if len(taken) == 3:
            break
except Closed:
    pass
if not pid:
    print("child", taken, flush=True)
    os._exit(0)
print("parent", taken, os.waitpid(pid, 0)[1])
pull.close(); push.close()
"""
    )
    assert sorted(said.splitlines()) == ["child [0]", "parent [0, 1, 2] 0"]


def test_a_greenlet_that_yields_to_others_while_the_process_forks_wakes_with_closed() -> None:
    said = run(
        FORK
        + """
a, b = open_socket(zmq.PAIR), open_socket(zmq.PAIR)
for socket in (a, b):
    socket.set(zmq.SNDHWM, 0); socket.set(zmq.RCVHWM, 0); socket.set(zmq.LINGER, 0)
a.bind("inproc://yield"); b.connect("inproc://yield")
for _ in range(200000):
    b.offer([b""])
def drain():
    while True:
        a.recv()
def flood():
    while True:
        b.send(b"")
waiting = [quiet(drain), quiet(flood)]
gevent.sleep(0)
pid = os.fork()
if not pid:
    print(*wait(waiting), flush=True)
    os._exit(0)
print(os.waitpid(pid, 0)[1])
gevent.killall(waiting)
a.close(); b.close()
"""
    )
    assert said.splitlines() == ["Closed Closed", "0"]


@pytest.mark.parametrize("flags", [(), ("-X", "dev")])
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_what_was_sent_arrives_though_the_program_falls_off_its_end(
    flags: tuple[str, ...], transport: str, ipc_address: str
) -> None:
    address = ipc_address if transport == "ipc" else "tcp://127.0.0.1:*"
    with zbus.Pull(bind=address, high_water_mark=10_000) as pull:
        began = monotonic()
        child = subprocess.Popen(
            command(
                """
                import zbus
                push = zbus.Push(connect=sys.argv[1], high_water_mark=10_000)
                for number in range(5_000):
                    push.send(number)
                """,
                *flags,
            )
            + list(pull.addresses),
            stderr=subprocess.PIPE,
        )
        assert [pull.recv(timeout=10).body for _ in range(5_000)] == list(range(5_000))
        noise = child.communicate(timeout=10)[1].decode()
        assert child.returncode == 0
        assert monotonic() - began < 15
        assert all("ResourceWarning" in line or not line for line in noise.splitlines()[:1]), noise


def test_an_exit_with_everything_open_is_quick_and_silent() -> None:
    began = monotonic()
    said = run(
        """
        import gevent, zbus
        pull = zbus.Pull(bind="tcp://127.0.0.1:*")
        replier = zbus.Replier(lambda message: message.body, bind="tcp://127.0.0.1:*")
        publisher = zbus.Publisher(bind="tcp://127.0.0.1:*", batch=zbus.Batch())
        subscriber = zbus.Subscriber(connect=publisher.addresses, topics="#")
        requester = zbus.Requester(connect=replier.addresses)
        pair = zbus.Pair(bind="inproc://exit")
        lonely = zbus.Push(connect="tcp://127.0.0.1:1")
        lonely.send("for nobody")
        print(requester.request("hello", timeout=5))
        subscriber.start()
        publisher.wait_for_subscribers("a", timeout=5)
        publisher.publish("a", 1)
        waiting = [gevent.spawn(end.recv) for end in (pull, pair, subscriber)] + [gevent.spawn(list, pull)]
        gevent.sleep(0)
        """
    )
    assert said == "hello\n"
    assert monotonic() - began < 10


def test_terminating_leaves_the_others_their_turns_and_wakes_who_was_parked() -> None:
    said = run(
        FORK
        + """
from zbus.green import context, terminate
a = open_socket(zmq.PAIR)
a.bind("tcp://127.0.0.1:*")
stuck = open_socket(zmq.PUSH)
stuck.set(zmq.LINGER, 300)
stuck.connect("tcp://127.0.0.1:1")
stuck.send(b"never leaves")
reader = quiet(a.recv)
ticks = 0
def tick():
    global ticks
    while True:
        gevent.sleep(0.01)
        ticks += 1
ticking = gevent.spawn(tick)
gevent.sleep(0)
before = context()
terminate(5)
ticking.kill()
print(*wait([reader]), ticks > 3, before.closed, context() is not before)
with open_socket(zmq.PAIR) as new:
    new.bind("inproc://new")
"""
    )
    assert said.split() == ["Closed", "True", "True", "True"]


def test_an_endpoint_can_be_closed_after_its_context_has_ended() -> None:
    said = run(
        FORK
        + """
from time import monotonic
from zbus.green import terminate
pull = zbus.Pull(bind="tcp://127.0.0.1:*")
reader = quiet(pull.recv)
gevent.sleep(0)
terminate(5)
print(*wait([reader]))
pull.close()
print(pull.state)
"""
    )
    assert said.split() == ["Closed", "closed"]


def test_a_context_that_ends_by_itself_makes_no_noise_in_its_monitors() -> None:
    said = run(
        FORK
        + """
from zbus.green import context
pull = zbus.Pull(bind="tcp://127.0.0.1:*")
reader = quiet(pull.recv)
gevent.sleep(0.01)
ending = gevent.get_hub().threadpool.spawn(context().term)
print(*wait([reader]))
pull.close()
ending.get(timeout=5)
"""
    )
    assert said.split() == ["Closed"]


def test_a_plain_socket_of_the_same_context_is_a_peer() -> None:
    plain = zmq.Context.shadow(context().underlying)
    with plain.socket(zmq.PUSH) as push, context().socket(zmq.PULL) as pull:
        pull.bind("inproc://plain.and.green")
        push.connect("inproc://plain.and.green")
        reader = gevent.spawn(pull.recv, timeout=5)
        push.send(b"hello")
        assert reader.get(timeout=5) == b"hello"
