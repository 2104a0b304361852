"""``zbus keys``: make key pairs, look at one, and say whose public key may come in."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import ZbusError
from ..green.curve import fingerprint
from ..security.authorised import authorise, revoke
from ..security.keyfile import PUBLIC, SECRET, read_public, read_secret, write_new

_KEY = "a public-key file, or the key itself in single quotes, behind '--' if it starts with '-'"


def add(verbs: Any) -> None:
    """Tell the parser of the verb."""
    parser = verbs.add_parser("keys", help="make CURVE keys, look at them, say who may come in")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    action = _action(actions, "new", _new, "make a key pair: PATH.key, which stays here, and PATH.pub")
    action.add_argument("path", metavar="PATH", help="where to; neither file may be there")
    action = _action(actions, "show", _show, "print a public key and its fingerprint, never a secret key")
    action.add_argument("key", metavar="PATH|KEY", help=f"a secret-key file, {_KEY}")
    action = _action(actions, "authorise", _authorise, "let who has a key come in, as a user with roles")
    action.add_argument("file", metavar="FILE", help="the authorised file; made if it is not there")
    action.add_argument("name", metavar="NAME", help="the user: letters, digits and '._-'")
    action.add_argument("key", metavar="KEY", help=_KEY)
    action.add_argument("roles", metavar="ROLE", nargs="*", help="what the rules may name beside the user")
    action = _action(actions, "revoke", _revoke, "remove the lines with a name or a public key")
    action.add_argument("file", metavar="FILE", help="the authorised file")
    action.add_argument("name", metavar="NAME|KEY", help="a user, for all his keys, or one public key")


def _action(actions: Any, name: str, do: Callable[[argparse.Namespace], None], about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}."
    )
    parser.set_defaults(run=partial(_run, do))
    return parser


def _run(do: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> None:
    try:
        do(arguments)
    except ValueError as error:  # what is in a file is the world's doing here, not a defect
        raise ZbusError(str(error)) from None


def _new(arguments: argparse.Namespace) -> None:
    stem = arguments.path.removesuffix(SECRET)
    public = write_new(stem + SECRET)
    print(f"{stem}{SECRET}  secret: it stays on this machine, readable by you alone")
    print(f"{stem}{PUBLIC}  public: for the other side, which wants the file or the key itself:")
    _print_public(public)
    print("a server's key: give the public one to its clients")
    print(f"a client's key: where the server runs, zbus keys authorise FILE NAME '{public.decode()}'")


def _show(arguments: argparse.Namespace) -> None:
    given = arguments.key
    if not os.path.exists(given) and os.path.exists(given + PUBLIC):
        given += PUBLIC
    _print_public(read_secret(given)[0] if given.endswith(SECRET) else read_public(given))


def _authorise(arguments: argparse.Namespace) -> None:
    key = read_public(arguments.key)
    authorise(arguments.file, arguments.name, key, arguments.roles)
    roles = f" as {', '.join(arguments.roles)}" if arguments.roles else ""
    print(f"{arguments.file}: {arguments.name} may come in{roles}, key {fingerprint(key)}")


def _revoke(arguments: argparse.Namespace) -> None:
    gone = revoke(arguments.file, arguments.name)
    if not gone:
        raise ZbusError(f"{arguments.file}: no line has that name or key; nothing was changed")
    print(f"{arguments.file}: {gone} {'line' if gone == 1 else 'lines'} removed; who is connected stays so")


def _print_public(public: bytes) -> None:
    print(f"public       {public.decode()}")
    print(f"fingerprint  {fingerprint(public)}")
