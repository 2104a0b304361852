"""Keys of a server and of some users, and the file of those who may come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import zbus
from zbus.security.authorised import authorise, revoke
from zbus.security.keyfile import read_public, write_new


class Court:
    """A server's key, its authorised file, and a key for whoever is named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authorised = folder / "authorised"
        self.key("server")
        self.authorise("alice", "trader")

    def key(self, name: str) -> Path:
        """The secret-key file of this name, made at its first use."""
        path = self.folder / f"{name}.key"
        if not path.exists():
            write_new(path)
        return path

    def authorise(self, name: str, *roles: str) -> None:
        """Let him in."""
        authorise(self.authorised, name, read_public(self.key(name).with_suffix(".pub")), roles)

    def revoke(self, name: str) -> None:
        """Let him in no more."""
        revoke(self.authorised, name)

    def server(self, *rules: str) -> zbus.Curve:
        """The server's ``security=``."""
        return zbus.Curve.server(self.key("server"), authorised=self.authorised, rules=rules)

    def client(self, name: str, server: str = "server") -> zbus.Curve:
        """The ``security=`` of one who takes that key for the server's."""
        return zbus.Curve.client(self.key(name), server=self.key(server).with_suffix(".pub"))


@pytest.fixture
def court(tmp_path: Path) -> Court:
    return Court(tmp_path)


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    """Makes started things that come back quickly after a loss; the last made is closed first."""
    made: list[Any] = []

    def make(constructor: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        made.append(constructor(*arguments, **{"reconnect": (0.01, 0.05), "linger": 0.2, **options}))
        made[-1].start()
        return made[-1]

    yield make
    for one in reversed(made):
        one.close()
