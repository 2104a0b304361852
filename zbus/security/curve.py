"""``security=`` in one line: CURVE keys for a socket, and who may come in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from ..green import authentication, curve
from ..green.options import CURVE_PUBLICKEY, CURVE_SECRETKEY, CURVE_SERVER, CURVE_SERVERKEY, Flags
from ..wire.zap import Answer, Question
from .authorised import Authorised
from .keyfile import StrPath, read_public, read_secret
from .rules import Rules, read


class Curve:
    """CURVE on tcp and ipc (ZeroMQ RFC 26): both sides prove who they are, and nobody between can read or change what
    they say. One may serve any number of endpoints, sides of devices, or a whole `Bus`. inproc, which stays in this
    process, is not encrypted. Made by `Curve.server` or `Curve.client`.
    """

    def __init__(
        self, key: StrPath, flags: Flags, domain: bytes, spec: dict[str, Any], rules: Rules | None = None
    ) -> None:
        self.path = os.fspath(key)
        self.domain = domain
        self.spec = spec
        self._flags = tuple(flags)
        self._rules = Rules() if rules is None else rules

    @property
    def rules(self) -> bool:
        """Are there rules of who may do what? Without any whoever comes in may do everything."""
        return bool(self._rules)

    @classmethod
    def server(cls, key: StrPath, *, authorised: StrPath, rules: StrPath | Iterable[str] = ()) -> Curve:
        """For the side that others come to, mostly the one that binds.

        `key` is its secret-key file, made by ``zbus keys new``. `authorised` is the file of those who may come in, one
        ``name key [role ...]`` a line; it is read again when it changes and counts from the next handshake on. Handlers
        see the name in `Message.user`. `rules` say who may do what, in a file or a list, one ``name|@role|* allow|deny
        request|publish|subscribe|send pattern`` a line: deny wins, and with any rule at all what none allows is denied.
        Raises `OSError` or `ValueError` with the path and what is wrong with a file: its mode, its owner, its content.
        """
        _, secret = read_secret(key)
        allowed = Authorised(authorised)
        allowed.check()
        where = [os.path.abspath(os.fspath(path)) for path in (key, authorised)]
        domain = b"zbus.curve." + hashlib.sha256(repr(where).encode()).hexdigest()[:16].encode()
        authentication.enforce(domain, _Keys(allowed))
        return cls(
            key,
            ((CURVE_SERVER, 1), (CURVE_SECRETKEY, secret)),
            domain,
            {"key": where[0], "authorised": where[1]},
            read(rules),
        )

    @classmethod
    def client(cls, key: StrPath, *, server: StrPath) -> Curve:
        """For the side that goes to a server, mostly the one that connects.

        `key` is its own secret-key file; `server` the server's public key, as a file or as 40 characters. Raises as
        `server` does. A server that refuses it is told of by `Denied`, at once, and asked again in a while.
        """
        public, secret = read_secret(key)
        theirs = read_public(server)
        return cls(
            key,
            ((CURVE_PUBLICKEY, public), (CURVE_SECRETKEY, secret), (CURVE_SERVERKEY, theirs)),
            b"",
            {"key": os.path.abspath(os.fspath(key)), "server": theirs.decode()},
        )

    @classmethod
    def again(cls, spec: dict[str, Any]) -> Curve:
        """The same in another process, from its `spec`: paths and public keys, no secret."""
        return cls.client(**spec) if "server" in spec else cls.server(**spec)

    def flags(self) -> Iterable[tuple[int, int | bytes]]:
        """What encrypts a socket."""
        return self._flags

    def allows(self, user: str, verb: str, name: str) -> bool:
        """May this user (name and roles, as in ZAP's User-Id) do that?"""
        return self._rules.allows(*_who(user), verb, name)

    def grant(self, user: str, prefix: bytes) -> bytes | None:
        """What this user is granted of a ZeroMQ subscription; None: nothing."""
        return self._rules.grant(*_who(user), prefix)

    def __repr__(self) -> str:
        return f"<Curve {'server' if self.domain else 'client'} {self.path}>"


@lru_cache(maxsize=4096)
def _who(user: str) -> tuple[str, frozenset[str]]:
    """Name and roles, as they stand in a User-Id."""
    name, *roles = user.split(" ")
    return name, frozenset(roles)


class _Keys:
    """The policy of one authorised file."""

    def __init__(self, authorised: Authorised) -> None:
        self._authorised = authorised
        self._told = ""

    def judge(self, question: Question) -> Answer:
        if question.mechanism != "CURVE":
            return Answer(400, "a key is wanted here")
        user = self._authorised.lookup(question.key)
        if user is None:
            found = f"the key {curve.fingerprint(curve.z85(question.key))} is not authorised"
            if self._authorised.error:
                found += f"; {self._authorised.error}"
            return Answer(400, found)
        return Answer(200, user=" ".join((user.name, *sorted(user.roles))))
