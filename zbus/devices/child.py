"""The other end of `process`: a device that ends when its parent does."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from gevent.fileobject import FileObject

from ..errors import ZbusError
from ..green.authentication import Security
from ..green.options import Timeout
from .device import Device
from .kinds import KINDS
from .side import Side

log = logging.getLogger("zbus")


def serve(secure: Callable[[dict[str, Any]], Security]) -> None:
    """Be the device that standard input asks for, until it ends. `secure` makes a side's ``security`` from its spec."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # to all of a group at once: the parent ends this
        signal.signal(number, signal.SIG_IGN)
    lines = FileObject(os.dup(0), "rb")
    spec = json.loads(lines.readline())
    sides: dict[str, Any] = {}
    tell = partial(_tell_peers, sides)
    declared = {name: _side(side, secure, lambda event: tell()) for name, side in spec["sides"].items()}
    native = "monitor" not in declared
    device = Device(
        KINDS[spec["kind"]], declared, runs_in="thread" if native else "greenlet", capture=None, name=spec["kind"]
    )
    device._failed_to = _end
    try:
        device.start()
    except (ZbusError, OSError) as error:
        _say({"error": [type(error).__name__, str(error)]})
        return
    sides.update({name: getattr(device, name) for name in declared})
    _say({"addresses": {name: side.addresses for name, side in sides.items()}})
    tell()
    timeout: Timeout = 10.0
    for line in iter(lines.readline, b""):
        words = json.loads(line)
        if words != "counts":
            timeout = words["stop"]
            break
        _say({"counts": asdict(device.statistics())})
    sides.clear()  # nobody is there to hear of those who leave now
    device.stop(timeout)


def _end(error: BaseException) -> None:
    """The device broke: the parent notices that this process ends."""
    log.error("the device ended: %s", error)
    os._exit(1)


def _side(spec: dict[str, Any], secure: Callable[[dict[str, Any]], Security], changed: Any) -> Side:
    identity = bytes.fromhex(spec.pop("identity"))
    spec.pop("on_event", None)  # which is None
    if spec["security"] is not None:
        spec["security"] = secure(spec["security"])
    if "reconnect" in spec:
        spec["reconnect"] = tuple(spec["reconnect"])
    return Side(identity=identity, on_event=changed, **spec)


def _tell_peers(sides: dict[str, Any]) -> None:
    if sides:
        _say({"peers": {name: side.peers for name, side in sides.items()}})


def _say(words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")
