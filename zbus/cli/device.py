"""``zbus queue``, ``forwarder``, ``streamer`` and ``monitored-queue``: a device as a whole program. ``zbus monitor``:
what a monitored queue publishes."""

from __future__ import annotations

import argparse
import signal
from functools import partial
from typing import Any

import gevent

from .. import devices
from ..devices import Device, DeviceStatistics, Side
from ..devices.child import serve
from ..patterns.pubsub import Subscriber
from ..security.curve import Curve
from ..wire.codec import Msgpack

_ABOUT = {
    "queue": "requests from many clients to many servers, and the replies back",
    "forwarder": "publications from many publishers to many subscribers",
    "streamer": "work from many feeders to many workers",
    "monitored-queue": "a queue that publishes what crosses it",
}
_SIDE = "an address to bind; with '>' before it, one to connect to ('>tcp://host:5559')"


def add(verbs: Any) -> None:
    """Tell the parser of the verbs."""
    for kind, about in _ABOUT.items():
        parser = verbs.add_parser(kind, help=about, description=f"A {kind} device: {about}, until Ctrl-C or SIGTERM.")
        sides = ["frontend", "backend", *(["monitor"] if kind == "monitored-queue" else [])]
        for side in sides:
            parser.add_argument(f"--{side}", required=True, action="append", metavar="ADDRESS", help=_SIDE)
        if kind != "monitored-queue":
            parser.add_argument(
                "--runs-in", choices=["greenlet", "thread", "process"], default="greenlet", help="in a %(default)s"
            )
        parser.add_argument(
            "--report", type=_seconds, metavar="SECONDS", help="tell statistics so often; SIGUSR1 asks, too"
        )
        if kind == "forwarder":
            parser.add_argument("--last-value", action="store_true", help="tell late subscribers what crossed last")
        parser.set_defaults(run=partial(_run, parser, kind, sides), signals="own")
    own = verbs.add_parser("device")  # what `devices.process` starts
    own.set_defaults(run=lambda _: serve(Curve.again), signals="own")
    parser = verbs.add_parser("monitor", help="print what a monitored queue publishes")
    parser.add_argument("address", help="where it publishes")
    parser.set_defaults(run=_monitor)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return seconds


def _side(given: list[str]) -> Side:
    """The addresses of one side, as the command line has them."""
    return Side(
        bind=[address.removeprefix("@") for address in given if not address.startswith(">")],
        connect=[address[1:] for address in given if address.startswith(">")],
    )


def _run(parser: argparse.ArgumentParser, kind: str, sides: list[str], arguments: argparse.Namespace) -> None:
    make = getattr(devices, kind.replace("-", "_"))
    options = {name: value for name, value in vars(arguments).items() if name in ("runs_in", "last_value")}
    try:
        device: Device = make(*(_side(getattr(arguments, side)) for side in sides), **options)
    except ValueError as error:
        parser.error(str(error))
    with device:
        tell = partial(_tell, kind, device)
        asked = gevent.signal_handler(signal.SIGUSR1, tell)  # before anybody knows that it is there
        places = (f"{side} {' '.join(getattr(device, side).addresses)}" for side in sides)
        print(f"{kind}: {', '.join(places)}", flush=True)
        reporting = gevent.spawn(_report, tell, arguments.report) if arguments.report else None
        try:
            device.run()
        finally:
            asked.cancel()
            if reporting is not None:
                reporting.kill()
    tell()


def _report(tell: Any, seconds: float) -> None:
    while True:
        gevent.sleep(seconds)
        tell()


def _tell(kind: str, device: Device) -> None:
    print(f"{kind}: {_line(device.statistics())}", flush=True)


def _line(counts: DeviceStatistics) -> str:
    words = [
        f"in {counts.messages_in:,} messages, {counts.bytes_in:,} bytes",
        f"out {counts.messages_out:,} messages, {counts.bytes_out:,} bytes",
        f"waiting {counts.waiting}",
        f"dropped {counts.dropped}",
    ]
    return "; ".join(words) + (" (as of its last answer)" if counts.stale else "")


def _monitor(arguments: argparse.Namespace) -> None:
    with Subscriber(connect=arguments.address, topics=b"", codec="frames") as subscriber:
        for message in subscriber:
            way, *envelope, body = message.body
            told = " ".join(frame.hex() or "-" for frame in envelope)
            print(f"{way.decode(errors='replace'):3} {told} {_readable(body)}", flush=True)


def _readable(body: bytes) -> str:
    try:
        return repr(Msgpack().decode(body))
    except Exception:
        return f"{len(body)} bytes {body[:40].hex()}{'…' if len(body) > 40 else ''}"
