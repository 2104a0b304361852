"""Key files: plain text, a comment that says what it is, then ``public KEY`` and, in a secret one, ``secret KEY``.

A secret file is its owner's alone (0600); a public one beside it, ``.pub`` in place of ``.key``, is for everybody. What
the file system says is an `OSError`, what is wrong inside a `ValueError`; both name the path and what to do, and hold
nothing of a key.
"""

from __future__ import annotations

import os
from typing import TypeAlias

from ..green.curve import keypair, public_of, raw
from . import trusted

StrPath: TypeAlias = "str | os.PathLike[str]"

SECRET, PUBLIC = ".key", ".pub"
#: Bytes that a key file has at most.
MOST = 4096

_SECRET_TEXT = b"""\
# zbus secret key. Whoever reads it can pass for its owner: it stays on this machine, mode 0600.
public %b
secret %b
"""
_PUBLIC_TEXT = b"""\
# zbus public key. It may be shown to anybody; the other side needs it.
public %b
"""
_MISSING = "zbus keys new makes one"
_REPLACE = "give the right path, or make a new one with zbus keys new"


def write_new(path: StrPath) -> bytes:
    """Make a key pair, write both its files, and return the public key in Z85.

    `path` ends in ``.key`` (else `ValueError`); it gets mode 0600, the ``.pub`` beside it 0644. An existing file is
    never overwritten (`FileExistsError`); if the second cannot be made the first is removed again, and that error
    raised. Both are on the disk on return.
    """
    secret_path = os.fspath(path)
    if not secret_path.endswith(SECRET):
        raise ValueError(f"{secret_path}: the name of a secret-key file ends in {SECRET}; add it")
    public_path = secret_path.removesuffix(SECRET) + PUBLIC
    public, secret = keypair()
    with trusted.locked(os.path.dirname(secret_path) or "."):
        trusted.create(secret_path, _SECRET_TEXT % (public, secret), 0o600)
        try:
            trusted.create(public_path, _PUBLIC_TEXT % public, 0o644)
        except BaseException:
            os.unlink(secret_path)
            raise
    return public


def read_secret(path: StrPath) -> tuple[bytes, bytes]:
    """The public and the secret key of a secret-key file, in Z85.

    `OSError`: it is missing, over 4 KiB, no regular file, not ours or root's, or group or others may use it.
    `ValueError`: it is empty, cut short, a public-key file, none at all, or its two keys do not belong together.
    """
    path = os.fspath(path)
    keys = _read(path, private=True)
    if "secret" not in keys:
        raise ValueError(f"{path}: it holds no secret key: a public-key file, or cut short; give the {SECRET} file")
    if keys.get("public") != public_of(keys["secret"]):
        raise ValueError(f"{path}: its public and its secret key do not belong together; {_REPLACE}")
    return keys["public"], keys["secret"]


def read_public(path_or_key: StrPath) -> bytes:
    """A public key in Z85, from a public-key file or as the 40 characters themselves.

    A text is a path if it ends in ``.pub`` or ``.key`` or there is such a file. `OSError`: it is missing, over 4 KiB,
    no regular file, not ours or root's, or group or others may write it. `ValueError`: neither a file nor a key, or a
    file that is empty, cut short, a secret-key file, or no key file at all.
    """
    path = os.fspath(path_or_key)
    if isinstance(path_or_key, str) and not path.endswith((SECRET, PUBLIC)) and not os.path.exists(path):
        try:
            raw(path)
        except ValueError as error:  # it is not shown: it may be a secret key with a character too many
            raise ValueError(f"neither a file that is there nor a public key: {error}; {_REPLACE}") from None
        return path.encode()
    keys = _read(path, private=False)
    if "secret" in keys:
        raise ValueError(f"{path}: it holds a secret key, which is nobody else's; give the {PUBLIC} file beside it")
    return keys["public"]


def _read(path: str, private: bool) -> dict[str, bytes]:
    """The keys in a file by their names, at least one."""
    data, _ = trusted.read(path, private=private, most=MOST, missing=_MISSING)
    keys: dict[str, bytes] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name, *rest = words
        where = f"{path}, line {number}"
        if name not in ("public", "secret") or len(rest) != 1:
            raise ValueError(f"{where}: neither 'public KEY' nor 'secret KEY': no key file, or cut short; {_REPLACE}")
        if name in keys:
            raise ValueError(f"{where}: a second {name} key; {_REPLACE}")
        try:
            raw(rest[0])
        except ValueError as error:
            raise ValueError(f"{where}: {error}: damaged, or cut short; {_REPLACE}") from None
        keys[name] = rest[0].encode()
    if not keys:
        raise ValueError(f"{path}: it holds no key: empty, or cut short; {_REPLACE}")
    return keys
