"""``zbus keys``: what each action prints and writes, and that none of them shows a secret."""

from __future__ import annotations

import os
import re
import stat

import pytest

from zbus.cli import main
from zbus.green.curve import fingerprint, raw
from zbus.security.authorised import Authorised
from zbus.security.keyfile import read_public, read_secret

#: A key that a command line takes for an option, and two that it does not.
DASH, ONE, TWO = (sign + "0" * 39 for sign in "-12")


@pytest.fixture
def keys(capsys):
    """Runs ``zbus keys`` with arguments: exit status, what went to standard output, what to standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main(["keys", *map(str, arguments)])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def me(tmp_path, keys):
    """The path of a new secret-key file."""
    assert keys("new", tmp_path / "me")[0] == 0
    return tmp_path / "me.key"


@pytest.mark.parametrize("name", ["me", "me.key"])
def test_new_writes_a_pair_and_prints_the_public_key_and_what_is_next(tmp_path, keys, name):
    status, out, err = keys("new", tmp_path / name)
    assert (status, err) == (0, "")
    public, secret = read_secret(tmp_path / "me.key")
    assert read_public(tmp_path / "me.pub") == public
    assert f"public       {public.decode()}\nfingerprint  {fingerprint(public)}\n" in out
    assert f"zbus keys authorise FILE NAME '{public.decode()}'" in out
    assert secret.decode() not in out
    assert stat.S_IMODE((tmp_path / "me.key").stat().st_mode) == 0o600


def test_new_overwrites_nothing(me, keys):
    before = me.read_bytes()
    status, out, err = keys("new", me)
    assert (status, out) == (1, "")
    assert "never overwritten" in err
    assert me.read_bytes() == before


def test_show_prints_the_public_half_of_whatever_it_is_given(me, keys):
    public = read_public(me.with_suffix(".pub"))
    shown = (0, f"public       {public.decode()}\nfingerprint  {fingerprint(public)}\n", "")
    for given in (me, me.with_suffix(".pub"), me.with_suffix(""), public.decode()):
        assert keys("show", "--", given) == shown


def test_show_never_shows_a_secret(me, keys, tmp_path):
    secret = read_secret(me)[1].decode()
    os.rename(me, tmp_path / "renamed")
    for given in (tmp_path / "renamed", secret + "x"):
        status, out, err = keys("show", "--", given)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert secret not in err


def test_authorise_takes_a_file_or_a_key_and_roles(me, keys, tmp_path):
    file = tmp_path / "authorised"
    public = read_public(me.with_suffix(".pub"))
    assert keys("authorise", file, "zoe", me.with_suffix(".pub"), "admin", "reader") == (
        0,
        f"{file}: zoe may come in as admin, reader, key {fingerprint(public)}\n",
        "",
    )
    assert keys("authorise", file, "max", ONE)[:2] == (
        0,
        f"{file}: max may come in, key {fingerprint(ONE.encode())}\n",
    )
    assert keys("authorise", "--", file, "eve", DASH, "reader")[0] == 0
    table = Authorised(file)
    found = [table.lookup(raw(key)) for key in (public, ONE, DASH)]
    assert [(user.name, sorted(user.roles)) for user in found] == [
        ("zoe", ["admin", "reader"]),
        ("max", []),
        ("eve", ["reader"]),
    ]


def test_authorise_refuses_a_secret_file_and_a_key_that_is_there(me, keys, tmp_path):
    file = tmp_path / "authorised"
    assert "give the .pub file beside it" in keys("authorise", file, "zoe", me)[2]
    assert not file.exists()
    keys("authorise", file, "zoe", ONE)
    status, out, err = keys("authorise", file, "max", ONE)
    assert (status, out) == (1, "")
    assert "line 3: the key of line 2 again" in err
    assert ONE not in err


def test_revoke_goes_by_name_or_key_and_tells_when_there_was_nothing(keys, tmp_path):
    file = tmp_path / "authorised"
    for name, key in (("zoe", ONE), ("zoe", TWO), ("max", "3" * 40)):
        keys("authorise", file, name, key)
    assert keys("revoke", file, ONE) == (0, f"{file}: 1 line removed; who is connected stays so\n", "")
    keys("authorise", file, "zoe", ONE)
    assert keys("revoke", file, "zoe")[1] == f"{file}: 2 lines removed; who is connected stays so\n"
    status, out, err = keys("revoke", file, "zoe")
    assert (status, out) == (1, "")
    assert err == f"zbus: {file}: no line has that name or key; nothing was changed\n"
    assert Authorised(file).lookup(raw("3" * 40)).name == "max"


@pytest.mark.parametrize(
    "arguments",
    [[], ["nonsense"], ["new"], ["new", "a", "b"], ["show"], ["authorise", "file", "zoe"], ["revoke", "file"]],
)
def test_a_mistake_is_one_line_and_exits_2(keys, arguments):
    status, out, err = keys(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("zbus")


def test_what_is_wrong_in_a_file_is_one_line_and_exits_1(keys, tmp_path):
    file = tmp_path / "authorised"
    file.write_text("zoe\n")
    assert keys("revoke", file, "zoe") == (
        1,
        "",
        f"zbus: {file}, line 1: a name without a key; write 'name key [role ...]'\n",
    )
    assert keys("show", tmp_path / "nobody.pub")[::2] == (
        1,
        f"zbus: [Errno 2] there is no such file; zbus keys new makes one: '{tmp_path}/nobody.pub'\n",
    )


def test_help_names_every_action(keys):
    status, out, _ = keys("--help")
    assert status == 0
    assert [name for name in ("new", "show", "authorise", "revoke") if not re.search(rf"^ +{name}\b", out, re.M)] == []
