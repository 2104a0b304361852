"""The command ``zbus``. Each verb has a module here, whose `add` tells the parser of it."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

import gevent
import msgpack
from gevent import getcurrent

from .. import __version__
from ..errors import ZbusError
from ..green.signals import Signals
from ..green.versions import versions
from . import demo, device, doctor, keys

__all__ = ["main"]

#: Exit statuses: it went well, it did not, the command line was wrong.
OK, ERROR, USAGE = 0, 1, 2


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 it went well, 1 it did not, 2 the command line was wrong.

    `argv` is without the program's name; None takes it from `sys.argv`. Errors are one line on standard error. Who
    reads standard output may stop at any time: that ends the command without a word.
    """
    try:
        try:
            status = _run(argv)
        except SystemExit as left:  # how argparse ends after --help and after a mistake
            status = left.code if isinstance(left.code, int) else OK
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _discard_output()
    except (ZbusError, OSError) as error:
        print(f"zbus: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
    except KeyboardInterrupt:
        print("zbus: interrupted", file=sys.stderr)
    return ERROR


def _run(argv: Sequence[str] | None) -> int:
    parser = _Parser(prog="zbus", description="A message bus for gevent programs: every ZeroMQ pattern and device.")
    parser.add_argument("--version", action="store_true", help="the versions of zbus and what it stands on, and exit")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", dest="verb")
    demo.add(verbs)
    device.add(verbs)
    keys.add(verbs)
    doctor.add(verbs)
    arguments = parser.parse_args(argv)
    if arguments.version:
        told = {"zbus": __version__, **versions(), "msgpack": ".".join(map(str, msgpack.version))}
        for name, version in {**told, "Python": platform.python_version()}.items():
            print(f"{name} {version}")
        return OK
    if arguments.verb is None:
        parser.print_help(sys.stderr)
        return USAGE
    if "signals" in arguments:  # it ends well at one
        arguments.run(arguments)
        return OK
    # Python would raise in whichever greenlet runs at the time of a signal; this raises here.
    with Signals(partial(gevent.kill, getcurrent(), KeyboardInterrupt)):
        arguments.run(arguments)
    return OK


def _discard_output() -> None:
    """Nobody reads it any more; without this the interpreter would complain of it when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
