"""A server whose handler blocks the loop of its process for some seconds when it is told to, and a pull beside it."""

from __future__ import annotations

import logging
import os
import sys
from time import monotonic, sleep

from gevent.event import Event

import zbus

began = 0.0


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if "has held up" in record.getMessage():
            say("warned after", monotonic() - began, "s:", record.getMessage())


def handle(message: zbus.Message) -> object:
    global began
    if message.body == "slow":
        say("slow")
        Event().wait()
    if message.body == "block":
        secret = "secret"  # which no log shows
        say("blocking")
        began = monotonic()
        sleep(float(sys.argv[1]))
        assert secret
    return message.body


def main() -> None:
    logging.getLogger("zbus").addHandler(Said())
    tcp = "tcp://127.0.0.1:*"
    with zbus.Replier(handle, bind=tcp, heartbeat=0.1) as replier, zbus.Pull(bind=tcp, heartbeat=0.1) as pull:
        say(replier.addresses[0], pull.addresses[0])
        for message in pull:
            say("took", message.body)


if __name__ == "__main__":
    main()
