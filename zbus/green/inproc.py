"""Who is bound and who is connected to each ``inproc://`` name of this process.

libzmq's monitor is silent about inproc, and an inproc connection does not come back when its bound side does. Both are
made good here: peers are told of one another, and a connected socket is connected anew once its peer has gone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

import zmq

from .context import open_socket


class Party(Protocol):
    """A socket that takes part in inproc connections."""

    def admit(self, address: str) -> bool:
        """A peer came; False refuses it."""

    def has_room(self) -> bool:
        """May one more peer come?"""

    def attend(self) -> int:
        """Have libzmq take in who has connected; what is possible then."""

    def leave(self, address: str) -> None:
        """A peer has gone."""

    def reconnect(self, address: str, closing: bool = False) -> bool:
        """Connect anew to a name whose bound side went; what one that is `closing` sent is still to be read.

        False: later, and then it calls `connected` itself.
        """


class _Name:
    def __init__(self) -> None:
        self.bound: Party | None = None
        self.waiting: list[Party] = []
        self.linked: list[Party] = []

    def link(self, address: str) -> None:
        """Join those who wait to the one that is bound, as many as it admits."""
        if self.bound is None:
            return
        waiting, self.waiting = self.waiting, []
        for party in waiting:
            if self.bound.admit(address):
                party.admit(address)
                self.linked.append(party)
            else:
                self.waiting.append(party)


_names: dict[str, _Name] = {}


def bound(address: str, party: Party) -> None:
    """`party` is bound to the name."""
    name = _names.setdefault(address, _Name())
    name.bound = party
    name.link(address)


def connected(address: str, party: Party) -> None:
    """`party` is connected to the name, whether anybody is bound there or not."""
    name = _names.setdefault(address, _Name())
    name.waiting.append(party)
    name.link(address)


def is_full(address: str) -> bool:
    """Is somebody bound to the name who would refuse one more peer?"""
    bound = _names[address].bound if address in _names else None
    return bound is not None and not bound.has_room()


def attend(address: str) -> None:
    """Have whoever is bound to the name take in who has connected."""
    bound = _names[address].bound if address in _names else None
    if bound is not None:
        bound.attend()


def let_go(addresses: Iterable[str]) -> None:
    """libzmq keeps a closed socket whose connection still waits for a bind: bind, if nobody else is there."""
    for address in addresses:
        if address not in _names:
            with open_socket(zmq.PAIR) as gate:
                gate.set(zmq.LINGER, 0)
                try:
                    gate.bind(address)
                except zmq.ZMQError:
                    continue


def unbound(address: str, party: Party, closing: bool = False) -> None:
    """`party` is no longer bound, or `closing`; those connected to it wait for the next."""
    name = _names.get(address)
    if name is None or name.bound is not party:
        return
    name.bound = None
    for other in name.linked:
        party.leave(address)
        other.leave(address)
        if other.reconnect(address, closing):
            name.waiting.append(other)
    name.linked = []
    _drop_if_empty(address, name)


def disconnected(address: str, party: Party) -> bool:
    """`party` is no longer connected; one that was refused for its sake may come in. True: it had a peer."""
    name = _names.get(address)
    if name is None:
        return False
    had_peer = party in name.linked
    if party in name.waiting:
        name.waiting.remove(party)
    elif party in name.linked:
        name.linked.remove(party)
        party.leave(address)
        if name.bound is not None:
            name.bound.leave(address)
            name.waiting = [other for other in name.waiting if other.reconnect(address)]
            name.link(address)
    _drop_if_empty(address, name)
    return had_peer


def _drop_if_empty(address: str, name: _Name) -> None:
    if name.bound is None and not name.waiting and not name.linked:
        _names.pop(address, None)


os.register_at_fork(after_in_child=_names.clear)
