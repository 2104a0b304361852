"""CURVE's keys. One is 32 bytes, or the same as 40 characters of Z85 (ZeroMQ RFC 32), which is how people see it.

No text of an error here holds any of a key: what was given may be a secret one.
"""

from __future__ import annotations

import struct
from hashlib import sha256

import zmq
from zmq.utils.z85 import Z85CHARS, encode

from ..errors import Unsupported

RAW_BYTES, Z85_CHARACTERS = 32, 40

_DIGITS = bytes(max(Z85CHARS.find(character), 0) for character in range(256))
_GROUPS = struct.Struct(">8I")


def available() -> bool:
    """Was the libzmq here built with CURVE?"""
    return bool(zmq.has("curve"))


def keypair() -> tuple[bytes, bytes]:
    """A new public and secret key, in Z85; `Unsupported` if this libzmq has no CURVE.

    No public key starts with ``-``, which a command line would take for an option.
    """
    _need_curve()
    while True:
        public, secret = zmq.curve_keypair()
        if not public.startswith(b"-"):
            return public, secret


def public_of(secret: bytes) -> bytes:
    """The public key that belongs to a secret one, both in Z85; `ValueError` if `secret` cannot be a key, `Unsupported`
    if this libzmq has no CURVE."""
    raw(secret)
    _need_curve()
    return zmq.curve_public(secret)


def raw(z85: bytes | str) -> bytes:
    """The 32 bytes that 40 characters of Z85 stand for; `ValueError` says why they cannot be a key."""
    if len(z85) != Z85_CHARACTERS:
        raise ValueError(f"a key has {Z85_CHARACTERS} characters, not {len(z85)}")
    text = z85.encode("utf-8", "surrogatepass") if isinstance(z85, str) else z85
    if text.translate(None, Z85CHARS):
        raise ValueError("not a key: it has characters that are not among Z85's")
    digits = iter(text.translate(_DIGITS))
    groups = [(((a * 85 + b) * 85 + c) * 85 + d) * 85 + e for a, b, c, d, e in zip(*[digits] * 5, strict=True)]
    if max(groups) >= 2**32:
        raise ValueError("not a key: a group of five characters is beyond 32 bits")
    return _GROUPS.pack(*groups)


def z85(raw: bytes) -> bytes:
    """The 40 characters of Z85 for a key of 32 bytes; `ValueError` if it has not 32."""
    if len(raw) != RAW_BYTES:
        raise ValueError(f"a key has {RAW_BYTES} bytes, not {len(raw)}")
    return encode(raw)


def fingerprint(public_z85: bytes) -> str:
    """What a log may show of a public key in Z85: the first 12 hex digits of the SHA-256 of its 32 bytes.

    `ValueError` if it cannot be a key.
    """
    return sha256(raw(public_z85)).hexdigest()[:12]


def _need_curve() -> None:
    if not available():
        raise Unsupported(f"libzmq {zmq.zmq_version()} was built without CURVE; install pyzmq from its wheels")
