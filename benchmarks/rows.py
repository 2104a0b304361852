"""The table of rows: who does what beside whom, and which figure zbus must reach."""

from collections.abc import Callable
from dataclasses import dataclass

from .load import Figures
from .measure import (
    Contender,
    Way,
    device_tells,
    far_end_tells,
    joiner_tells,
    near_end_tells,
    opener_tells,
    vigil,
)


@dataclass(frozen=True)
class Bar:
    """What zbus must reach: so many times a peer's figure, or (no peer) its own at most so high."""

    peer: str
    must: float
    aim: float


@dataclass(frozen=True)
class Row:
    """One line of the table. zbus stands first among the contenders."""

    name: str
    title: str
    contenders: tuple[Contender, ...]
    bars: tuple[Bar, ...] = ()
    figure: str = "rate"  # the one that ratios and bars are about
    unit: str = "x"  # of the bars; "x" = times the peer's
    show: Callable[[Figures], str] = lambda figures: f"{figures['rate']:,.0f}/s"
    way: Way = opener_tells
    seconds: float = 0.7  # measured in each round, at scale 1
    rounds: int = 99  # at most


def show_arrived(figures: Figures) -> str:
    return f"{figures['rate']:,.0f}/s arrived, {figures['lost']:.0%} dropped"


def show_ticks(figures: Figures) -> str:
    beside = f"beside {figures['rate']:,.0f} messages/s"
    if not figures["ticks"]:
        return f"never ran in {figures['seconds']:.1f} s {beside}"
    return f"p99 {figures['p99']:.2f} ms, max {figures['max']:.1f} ms {beside}"


def show_idle(figures: Figures) -> str:
    spent = f"{figures['cpu']:.2f} ms of CPU in {figures['seconds']:.0f} s"
    return f"{figures['wake_ups']:.0f} wake-ups, {spent}"


ROWS = (
    Row(
        "push-pull",
        "PUSH→PULL, a callback per message",
        (
            Contender("zbus", "zbus_peer pull", "zbus_peer push"),
            Contender("zmq.green", "green_peer pull", "green_peer push"),
            Contender("blocking pyzmq", "blocking_peer pull", "blocking_peer push"),
        ),
        (Bar("zmq.green", must=3.5, aim=5), Bar("blocking pyzmq", must=0.6, aim=1)),
    ),
    Row(
        "push-pull-batched",
        "the same, batched",
        (
            Contender("zbus", "zbus_peer pull", "zbus_peer push-batched"),
            Contender("zmq.green", "green_peer pull", "green_peer push"),
        ),
        (Bar("zmq.green", must=12, aim=20),),
    ),
    Row(
        "request-crowd",
        "request/reply, 100 greenlets on one client",
        (
            Contender("zbus", "zbus_peer serve", "zbus_peer call-crowd"),
            Contender("zerorpc", "zerorpc_peer serve", "zerorpc_peer call-crowd"),
        ),
        (Bar("zerorpc", must=12, aim=20),),
        way=joiner_tells,
    ),
    Row(
        "request-single",
        "request/reply, one at a time",
        (
            Contender("zbus", "zbus_peer serve", "zbus_peer call"),
            Contender("zerorpc", "zerorpc_peer serve", "zerorpc_peer call"),
            Contender("zmq.green", "green_peer serve", "green_peer call"),
        ),
        (Bar("zerorpc", must=3, aim=4), Bar("zmq.green", must=0.9, aim=1.2)),
        way=joiner_tells,
    ),
    Row(
        "push-pull-curve",
        "PUSH→PULL, encrypted",
        (
            Contender("zbus", "curve_peer pull", "curve_peer push"),
            Contender("in the clear", "zbus_peer pull", "zbus_peer push"),
        ),
        (Bar("in the clear", must=0.3, aim=0.5),),
    ),
    Row(
        "request-curve",
        "request/reply, 100 greenlets on one client, encrypted",
        (
            Contender("zbus", "curve_peer serve", "curve_peer call-crowd"),
            Contender("in the clear", "zbus_peer serve", "zbus_peer call-crowd"),
        ),
        (Bar("in the clear", must=0.3, aim=0.7),),
        way=joiner_tells,
    ),
    Row(
        "publish-subscribe",
        "PUB→SUB, as fast as it goes",
        (
            Contender("zbus", "zbus_peer publish", "zbus_peer subscribe"),
            Contender("zmq.green", "green_peer publish", "green_peer subscribe"),
        ),
        show=show_arrived,
        way=joiner_tells,
    ),
    Row(
        "dispatch",
        "SUB, a callback by topic, 100 patterns registered",
        (
            Contender("zbus", "blocking_peer shout", "zbus_peer dispatch-100"),
            Contender("its bare loop", "blocking_peer shout", "zbus_peer listen"),
            Contender("1 pattern", "blocking_peer shout", "zbus_peer dispatch-1"),
        ),
        (Bar("its bare loop", must=0.8, aim=0.9),),
        way=joiner_tells,
    ),
    Row(
        "dispatch-many",
        "the same, 10,000 patterns registered",
        (
            Contender("zbus", "blocking_peer shout", "zbus_peer dispatch-10000"),
            Contender("100 patterns", "blocking_peer shout", "zbus_peer dispatch-100"),
        ),
        (Bar("100 patterns", must=0.5, aim=0.9),),
        way=joiner_tells,
    ),
    Row(
        "dispatch-endpoints",
        "100 flooded PULLs on one dispatcher",
        (
            Contender("zbus", "zbus_peer gather", "blocking_peer spread"),
            Contender("one PULL", "zbus_peer gather-1", "blocking_peer spread"),
        ),
    ),
    Row(
        "events",
        "delay of server-sent events, 200 clients and one of them stalled",
        (Contender("zbus", "zbus_peer events", "zbus_peer browse"),),
        (Bar("", must=250, aim=50),),
        figure="p99",
        unit="ms",
        show=lambda figures: f"p99 {figures['p99']:.1f} ms beside {figures['rate']:,.0f} events/s",
        way=joiner_tells,
        seconds=3,
        rounds=3,
    ),
    Row(
        "streamer",
        "streamer device as greenlets",
        (
            Contender("zbus", "zbus_peer stream", "blocking_peer flood, blocking_peer sink"),
            Contender("zmq.green", "green_peer stream", "blocking_peer flood, blocking_peer sink"),
            Contender("zmq.proxy", "blocking_peer stream", "blocking_peer flood, blocking_peer sink"),
        ),
        (Bar("zmq.green", must=10, aim=15), Bar("zmq.proxy", must=0.3, aim=0.5)),
        way=far_end_tells,
    ),
    Row(
        "streamer-thread",
        "streamer device in a thread",
        (
            Contender("zbus", "zbus_peer stream-thread", "blocking_peer flood, blocking_peer sink"),
            Contender("zmq.proxy", "blocking_peer stream", "blocking_peer flood, blocking_peer sink"),
        ),
        (Bar("zmq.proxy", must=0.9, aim=1),),
        way=far_end_tells,
    ),
    Row(
        "forwarder",
        "forwarder device as greenlets",
        (
            Contender("zbus", "zbus_peer forward", "blocking_peer cry, blocking_peer audience"),
            Contender("zmq.green", "green_peer forward", "blocking_peer cry, blocking_peer audience"),
            Contender("zmq.proxy", "blocking_peer forward", "blocking_peer cry, blocking_peer audience"),
        ),
        (),
        way=far_end_tells,
    ),
    Row(
        "queue",
        "queue device as greenlets, 100 requests out",
        (
            Contender("zbus", "zbus_peer queue", "blocking_peer ask, blocking_peer answer"),
            Contender("zmq.green", "green_peer queue", "blocking_peer ask, blocking_peer answer"),
            Contender("zmq.proxy", "blocking_peer queue", "blocking_peer ask, blocking_peer answer"),
        ),
        (),
        way=near_end_tells,
    ),
    Row(
        "device-ticker",
        "delay of a 1 ms ticker beside a saturated streamer",
        (Contender("zbus", "zbus_peer stream-tick", "blocking_peer flood, blocking_peer sink"),),
        (Bar("", must=10, aim=2),),
        figure="p99",
        unit="ms",
        show=show_ticks,
        way=device_tells,
        seconds=1.5,
        rounds=3,
    ),
    Row(
        "ticker",
        "delay of a 1 ms ticker beside a flooded PULL",
        (
            Contender("zbus", "zbus_peer tick", "blocking_peer flood"),
            Contender("zmq.green", "green_peer tick", "blocking_peer flood"),
        ),
        (Bar("", must=10, aim=2),),
        figure="p99",
        unit="ms",
        show=show_ticks,
        seconds=1.5,
        rounds=3,
    ),
    Row(
        "idle",
        "100 endpoints that wait",
        (Contender("zbus", "zbus_peer idle"), Contender("zmq.green", "green_peer idle")),
        (Bar("", must=0, aim=0),),
        figure="wake_ups",
        unit="wake-ups",
        show=show_idle,
        way=vigil,
        seconds=2,
        rounds=2,
    ),
)
