"""The other end of `process`: a device that ends when its parent does."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict
from functools import partial
from typing import Any

from gevent.fileobject import FileObject

from ..errors import ZbusError
from .device import Device
from .kinds import KINDS
from .side import Side


def serve() -> None:
    """Be the device that standard input asks for, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who ends this
    lines = FileObject(os.dup(0), "rb")
    spec = json.loads(lines.readline())
    sides: dict[str, Any] = {}
    tell = partial(_tell_peers, sides)
    declared = {name: _side(side, lambda event: tell()) for name, side in spec["sides"].items()}
    native = "monitor" not in declared
    device = Device(
        KINDS[spec["kind"]], declared, runs_in="thread" if native else "greenlet", capture=None, name=spec["kind"]
    )
    try:
        device.start()
    except (ZbusError, OSError) as error:
        _say({"error": [type(error).__name__, str(error)]})
        return
    sides.update({name: getattr(device, name) for name in declared})
    _say({"addresses": {name: side.addresses for name, side in sides.items()}})
    tell()
    for _ in iter(lines.readline, b""):
        _say({"counts": asdict(device.statistics())})
    device.stop()


def _side(spec: dict[str, Any], changed: Any) -> Side:
    identity = bytes.fromhex(spec.pop("identity"))
    if "reconnect" in spec:
        spec["reconnect"] = tuple(spec["reconnect"])
    return Side(identity=identity, on_event=changed, **spec)


def _tell_peers(sides: dict[str, Any]) -> None:
    if sides:
        _say({"peers": {name: side.peers for name, side in sides.items()}})


def _say(words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")
