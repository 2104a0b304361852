"""zbus, encrypted: the same lines with ``security=``."""

import shutil
import tempfile
from pathlib import Path

import zbus
from zbus.security.authorised import authorise
from zbus.security.keyfile import read_public, write_new

from ..load import Enough, Meter, call_in_turn
from ..stage import ANYWHERE, CROWD, announce, play, report
from .zbus_peer import stream


def make_keys() -> Path:
    """A folder with the keys of a server and of a client who may come in. Whoever has the figures removes it."""
    folder = Path(tempfile.mkdtemp(prefix="zbus-benchmark"))
    for name in ("server", "client"):
        write_new(folder / f"{name}.key")
    authorise(folder / "authorised", "client", read_public(folder / "client.pub"), ())
    return folder


def of_server(folder: Path) -> zbus.Curve:
    return zbus.Curve.server(folder / "server.key", authorised=folder / "authorised")


def of_client(folder: Path) -> zbus.Curve:
    return zbus.Curve.client(folder / "client.key", server=folder / "server.pub")


def pull(_: str, seconds: float) -> None:
    meter, folder = Meter(seconds), make_keys()
    callback = meter.take_message
    try:
        with zbus.Pull(bind=ANYWHERE, security=of_server(folder)) as pull:
            announce(f"{pull.addresses[0]} {folder}")
            for message in pull:
                callback(message)
    except Enough:
        shutil.rmtree(folder)
        report(meter.figures())


def push(address_and_keys: str, seconds: float) -> None:
    address, folder = address_and_keys.split()
    stream(zbus.Push(connect=address, security=of_client(Path(folder))))


def serve(_: str, seconds: float) -> None:
    folder = make_keys()
    replier = zbus.Replier(lambda message: message.body, bind=ANYWHERE, security=of_server(folder))
    announce(f"{replier.addresses[0]} {folder}")
    replier.run()


def call_crowd(address_and_keys: str, seconds: float) -> None:
    address, folder = address_and_keys.split()
    with zbus.Requester(connect=address, security=of_client(Path(folder))) as requester:
        figures = call_in_turn(requester.request, CROWD, seconds)
    shutil.rmtree(folder)
    report(figures)


if __name__ == "__main__":
    play({"pull": pull, "push": push, "serve": serve, "call-crowd": call_crowd})
