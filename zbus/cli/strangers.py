"""What ``zbus doctor`` tries out on a door of its own: that those who are to stay outside do."""

from __future__ import annotations

import argparse
import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gevent import socket

from ..errors import Denied, TimeoutExpired, ZbusError
from ..green.curve import available
from ..patterns.pipeline import Pull, Push
from ..security.curve import Curve
from ..security.keyfile import write_new
from .finding import Finding

#: Seconds in which a stranger has to be told.
PATIENCE = 5.0

#: A message of ZMTP 1.0, which a web page can have a browser send.
_OLD = b"\x01\x00\x02\x00\x2a"
_TCP = "tcp://127.0.0.1:*"
_ADVICE = "do not open anything here; install pyzmq from its wheels"


def check_strangers(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Is somebody kept out who speaks an old protocol, and somebody who has a key that nobody knows?"""
    try:
        with _unlogged():
            with Pull(bind=_TCP) as pull:
                bad = _is_cut_off(pull)
            yield _told("ZAP without a key", "what is no ZMTP 3 is cut off", bad)
            if available():
                yield _told("ZAP with a key", "an unknown one is refused", _is_refused())
    except ZbusError as error:  # an `InsecureBind` says what the check at the start has found
        yield Finding("FAIL", "ZAP", f"{error}; {_ADVICE}")


@contextmanager
def _unlogged() -> Iterator[None]:
    """What is refused here is no news."""
    log = logging.getLogger("zbus")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _told(what: str, good: str, bad: str) -> Finding:
    return Finding("FAIL", what, f"{bad}; {_ADVICE}") if bad else Finding("ok", what, good)


def _is_cut_off(pull: Pull) -> str:
    """What is wrong; empty if nothing is."""
    host, port = pull.addresses[0].removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as old:
        old.sendall(_OLD)
        try:
            while old.recv(4096):
                continue
        except TimeoutError:
            return "who speaks an old protocol is not cut off"
        except OSError as error:
            if error.errno != errno.ECONNRESET:
                raise
    return "who speaks an old protocol delivers a message" if pull.statistics().received or _delivered(pull) else ""


def _delivered(pull: Pull) -> bool:
    try:
        pull.recv(timeout=0)
    except TimeoutExpired:
        return False
    return True


def _is_refused() -> str:
    with TemporaryDirectory() as folder:
        server, stranger = Path(folder, "server.key"), Path(folder, "stranger.key")
        public = write_new(server)
        write_new(stranger)
        nobody = os.open(Path(folder, "authorised"), os.O_WRONLY | os.O_CREAT, 0o600)
        os.close(nobody)
        security = Curve.server(server, authorised=Path(folder, "authorised"))
        with (
            Pull(bind=_TCP, security=security) as pull,
            Push(connect=pull.addresses, security=Curve.client(stranger, server=public.decode()), linger=0) as push,
        ):
            try:
                push.wait_for_peers(timeout=PATIENCE)
            except Denied:
                return ""
            except TimeoutExpired:
                return f"who has an unknown key is not told so within {PATIENCE:g} s"
            return "who has an unknown key is let in"
