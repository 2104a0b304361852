"""Addresses: which can be one, and what to say of those that cannot."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

#: A path in a Unix socket's address has 108 bytes, the last of them NUL.
MAX_PATH_BYTES = 107


def addresses(
    bind: str | Iterable[str], connect: str | Iterable[str], who: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `who` was given to bind and to connect to, checked; `TypeError` or `ValueError` says what is wrong."""
    both = _several(bind, "bind"), _several(connect, "connect")
    if not any(both):
        raise ValueError(f"{who} has no address: give bind='tcp://127.0.0.1:*', connect='tcp://…', or both")
    return both


def _several(given: str | Iterable[str], verb: str) -> tuple[str, ...]:
    if isinstance(given, str):
        given = (given,)
    try:
        listed = tuple(given)
    except TypeError:
        raise TypeError(f"{verb} takes an address or several, not {type(given).__qualname__}") from None
    for address in listed:
        check(address, verb)
    return listed


def check(address: str, verb: str) -> None:
    """`TypeError` or `ValueError` unless `address` is one that a socket can `verb` (bind or connect) to."""
    if not isinstance(address, str):
        raise TypeError(f"an address is a str such as 'tcp://127.0.0.1:5556', not {type(address).__qualname__}")
    scheme, found, rest = address.partition("://")
    if not found or scheme not in ("tcp", "ipc", "inproc"):
        raise ValueError(f"{verb}={address!r}: an address starts with tcp://, ipc:// or inproc://")
    if not rest:
        raise ValueError(f"{verb}={address!r}: nothing stands behind {scheme}://")
    if scheme == "tcp":
        _check_tcp(address, rest, verb)
    elif scheme == "ipc" and len(rest.encode()) > MAX_PATH_BYTES:
        raise ValueError(f"{verb}={address!r}: a path has at most {MAX_PATH_BYTES} bytes; use a shorter directory")


def _check_tcp(address: str, rest: str, verb: str) -> None:
    host, colon, port = rest.rpartition(":")
    wild = verb == "bind" and port in ("*", "0")
    if not colon or not host or not (wild or (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
        wanted = "a port of 1 to 65535, or * for a free one" if verb == "bind" else "a port of 1 to 65535"
        raise ValueError(f"{verb}={address!r}: tcp wants tcp://host:port with {wanted}")
    if verb == "connect" and host == "*":
        raise ValueError(f"connect={address!r}: '*' is for bind; name the host to connect to")


def is_local(address: str) -> bool:
    """Does it stay on this machine? A name other than ``localhost`` may stand for anything."""
    scheme, _, rest = address.partition("://")
    if scheme != "tcp":
        return True
    host = rest.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "lo")
