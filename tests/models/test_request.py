"""A request's life, the requester's own code on a loop that stands: handed out, lost, refused, answered, late."""

from __future__ import annotations

from functools import partial

from greenlet import greenlet
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from models.asking import NEARLY, Asked, Asking, HandOut, msgpack
from models.effort import tried
from models.standing import Port

import zbus
from zbus.patterns.servers import SHUN
from zbus.wire.request import Arrival, error_reply

#: Messages that a server's queue has room for.
ROOM = 2

timeouts = st.sampled_from([None, 0, -1, 0.5, 2.0, 2.0])


class Life(Asking, RuleBasedStateMachine):
    """Calls and what befalls them, in any order."""

    @initialize(servers=st.integers(1, 3), early=st.sampled_from([0.0, 0.0005]), up=st.booleans())
    def opens(self, servers, early, up):
        self.open(servers, early)
        for which in range(servers if up else 0):
            self.connects(which)

    def teardown(self):
        if hasattr(self, "requester"):
            self.end()

    # -- what happens to it ----------------------------------------------------------------------------

    @rule(
        calls=st.lists(st.tuples(timeouts, st.sampled_from([1, 2, 3, 3])), min_size=1, max_size=4),
        room=st.sampled_from([None, None, 0, 1, 2]),
    )
    def asks(self, calls, room):
        """All in one turn of the loop: the first goes out at once, the others at its end. Some server may have `room`
        after that, still in the same turn."""
        for timeout, attempts in calls:
            self.calls.append(call := Asked(len(self.calls), timeout, attempts, self.loop.now))
            self.loop.callbacks.append(partial(greenlet(self.ends, self.loop.hub).switch, call))
        if room is not None:
            got = partial(self.gets_room, self.ports[room % len(self.ports)])
            self.loop.callbacks.append(partial(self.loop.callbacks.append, got))
        self.loop.run()

    @rule(which=st.integers(0, 2))
    def connects(self, which):
        port = self.ports[which % len(self.ports)]
        if not port.peers:
            port.peers, port.room = 1, ROOM
            if port not in self.leaving:
                self.shunned.pop(port, None)
            self.leaving.discard(port)
            self.loop.run(lambda: self.requester._report(port, "connected", "", ""))

    @rule(which=st.integers(0, 2))
    def dies(self, which):
        port = self.ports[which % len(self.ports)]
        if port.peers:
            self.loop.run(lambda: self.is_lost(port))

    @rule(which=st.integers(0, 2))
    def has_room(self, which):
        self.loop.run(partial(self.gets_room, self.ports[which % len(self.ports)]))

    def gets_room(self, port: Port) -> None:
        port.room = ROOM
        self.reads(port)

    def reads(self, port: Port) -> None:
        server = self.requester._servers[port]
        self.requester._replies(server)
        assert not port.came

    @precondition(lambda self: self.outs(*self.ports))
    @rule(data=st.data(), how=st.sampled_from(["value", "error", "unreadable", "bad headers"]), dies=st.booleans())
    def is_answered(self, data, how, dies):
        """Perhaps by the last words of a server that is gone before they are read."""
        one = data.draw(st.sampled_from(self.outs(*self.ports)))
        one.answered = True
        value = [one.call.body, one.port is self.ports[0], self.loop.now]
        reply = {
            "value": [msgpack.encode(value)],
            "error": [b"\xc0", msgpack.encode({"error": {"type": "Mine", "message": str(value)}})],
            "unreadable": [b"\xc1"],
            "bad headers": [msgpack.encode(value), b"\xc1"],
        }[how]
        kind = {"value": list, "error": zbus.RemoteError}.get(how, zbus.ProtocolError)
        one.call.replies.append((kind, value if kind is list else f"Mine: {value}" if how == "error" else None))
        one.port.came.append([*one.frames[:2], *reply])
        self.loop.run(lambda: self.is_lost(one.port) if dies else self.reads(one.port))

    @precondition(lambda self: self.outs(*self.ports))
    @rule(data=st.data(), devices=st.integers(0, 2), times=st.integers(1, 8))
    def is_refused(self, data, devices, times):
        """And refused again, as often as it comes back within a moment."""
        one = data.draw(st.sampled_from(self.outs(*self.ports)))
        call = one.call
        for _ in range(times):
            self.refuses(one, devices)
            self.loop.pass_time(0.3)
            if call.out[-1] not in self.outs(*self.ports):
                break
            one = call.out[-1]

    def refuses(self, one: HandOut, devices: int) -> None:
        one.answered = one.refused = True
        call = one.call
        if one.port is call.out[-1].port:
            call.again = True
            if devices and self.holds(one):  # a call that waits for room has left that server already
                call.pauses.append(self.loop.now)
        if not devices and call.ended is None:
            self.shunned[one.port] = self.loop.now + SHUN
        arrival = Arrival([b"id"] * (1 + devices) + one.frames, now=self.loop.now)
        one.port.came.append([*one.frames[:2], *error_reply(arrival, "Unavailable", "stopping", msgpack)])
        self.loop.run(lambda: self.reads(one.port))

    @rule(which=st.integers(0, 2), frames=st.lists(st.sampled_from([b"", b"c" * 20, b"\x01", b"\x80"]), max_size=5))
    def something_else_comes(self, which, frames):
        """Replies to nobody's call, and what is no reply."""
        port = self.ports[which % len(self.ports)]
        if port.peers and frames:
            port.came.append(frames)
            self.loop.run(lambda: self.reads(port))

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.25, 0.4995, 0.5, 1.0, 2.0]))
    def time_passes(self, seconds):
        self.loop.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.2, 0.5, 3.0]))
    def the_loop_is_held_up(self, seconds):
        self.loop.now = self.stalled = self.loop.now + seconds
        self.loop.run()

    # -- what holds at all times -----------------------------------------------------------------------

    @invariant()
    def every_call_that_waits_is_woken_in_time(self):
        pending = self.pending()
        assert len(pending) == len(self.requester._calls) == len(self.loop.timers)
        timers = {timer.waiter: timer.due for timer in self.loop.timers}
        for call, its in zip(pending, self.requester._calls.values(), strict=True):
            due = timers[its.waiter]
            assert due > self.loop.now
            assert call.deadline is None or due <= max(call.deadline, self.loop.now) + self.grace() + NEARLY
            if its.server is not None and call.timeout and call.taken < call.attempts and not call.again:
                assert due <= max(call.out[-1].at + call.timeout / call.attempts, self.loop.now) + self.grace() + NEARLY

    @invariant()
    def no_call_waits_for_room_while_a_server_has_some(self):
        assert not self.requester._parking.queue or not any(map(self.usable, self.ports))

    @invariant()
    def each_server_holds_what_is_out_over_it(self):
        calls = self.requester._calls.values()
        for server in self.requester._servers:
            assert list(server.calls.values()) == [call for call in server.calls.values() if call.server is server]
            assert len(server.calls) == sum(call.server is server for call in calls)
        assert self.requester._sent == self.sent


@tried(3)
def test_a_call_ends_once_in_time_and_says_truly_whether_it_was_taken(effort):
    run_state_machine_as_test(Life, settings=effort)
