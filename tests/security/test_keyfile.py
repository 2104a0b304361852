"""Key files, row KY-1: what is refused, with which reason; and row LG-1: that no error shows any of a key."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from security.chain import shown

from zbus.green.curve import keypair, public_of
from zbus.security import keyfile, trusted
from zbus.security.keyfile import read_public, read_secret, write_new


@pytest.fixture
def pair(tmp_path):
    """The path of a good secret-key file; its public one is beside it."""
    path = tmp_path / "me.key"
    write_new(path)
    return path


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_can_be_read_and_says_what_it_is(tmp_path):
    path = tmp_path / "me.key"
    public = write_new(path)
    assert read_secret(path)[0] == public == read_public(tmp_path / "me.pub") == read_public(str(tmp_path / "me.pub"))
    assert public_of(read_secret(str(path))[1]) == public
    assert path.read_text().startswith("# zbus secret key.")
    assert (tmp_path / "me.pub").read_text().startswith("# zbus public key.")
    assert sorted(os.listdir(tmp_path)) == ["me.key", "me.pub"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o177])
def test_modes_do_not_depend_on_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_new(tmp_path / "me.key")
    finally:
        os.umask(before)
    assert (mode(tmp_path / "me.key"), mode(tmp_path / "me.pub")) == (0o600, 0o644)


def test_a_path_in_the_working_folder_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_new("me.key")
    assert read_secret("me.key")[0] == read_public("me.pub")


@pytest.mark.parametrize("there", ["me.key", "me.pub"])
def test_nothing_is_overwritten_and_no_half_of_a_pair_is_left(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(FileExistsError, match="never overwritten") as caught:
        write_new(tmp_path / "me.key")
    assert caught.value.filename == str(tmp_path / there)
    assert os.listdir(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "mine"


@pytest.mark.parametrize("there", ["me.key", "me.pub"])
def test_a_symlink_is_not_followed_when_it_writes(tmp_path, there):
    (tmp_path / there).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "me.key")
    assert os.listdir(tmp_path) == [there]


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trusted.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "me.key")
    assert os.listdir(tmp_path) == []


def test_a_name_without_the_ending_and_a_folder_that_is_missing_are_told(tmp_path):
    with pytest.raises(ValueError, match=r"me: .* ends in \.key"):
        write_new(tmp_path / "me")
    with pytest.raises(FileNotFoundError, match="no such folder; mkdir"):
        write_new(tmp_path / "keys" / "me.key")


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_a_secret_that_others_may_use_is_refused(pair, bits):
    """Row KY-1."""
    pair.chmod(bits)
    with pytest.raises(PermissionError, match=rf"mode {bits:04o}\).*chmod 600") as caught:
        read_secret(pair)
    assert (caught.value.errno, caught.value.filename) == (errno.EPERM, str(pair))


@pytest.mark.parametrize("bits", [0o400, 0o600, 0o700])
def test_a_secret_that_only_its_owner_may_use_is_good(pair, bits):
    pair.chmod(bits)
    assert read_secret(pair)


@pytest.mark.parametrize("bits", [0o664, 0o646])
def test_a_public_file_that_others_may_write_is_refused(pair, bits):
    public = pair.with_suffix(".pub")
    public.chmod(bits)
    with pytest.raises(PermissionError, match=rf"may write it \(mode {bits:04o}\); chmod go-w"):
        read_public(public)


@pytest.mark.parametrize("suffix", [".key", ".pub"])
def test_a_file_of_another_user_is_refused(pair, suffix, monkeypatch):
    path = pair.with_suffix(suffix)
    ours = os.geteuid()
    if ours == 0:
        os.chown(path, 4242, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: ours + 1)
    with pytest.raises(PermissionError, match=r"belongs to user \d+, neither to us .*; chown it"):
        (read_secret if suffix == ".key" else read_public)(path)


def test_a_file_that_we_may_not_read_is_told(pair, monkeypatch):
    def refuse(*arguments, **keywords):
        raise PermissionError(errno.EACCES, "Permission denied", str(pair))

    with monkeypatch.context() as patch:
        patch.setattr(trusted.os, "open", refuse)
        with pytest.raises(PermissionError, match="may not read it; ") as caught:
            read_secret(pair)
    assert caught.value.filename == str(pair)


@pytest.mark.parametrize("read", [read_secret, read_public])
@pytest.mark.parametrize("wrong", ["missing", "behind a file", "folder", "fifo", "dangling", "device"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, read, wrong):
    """Row KY-1."""
    path = tmp_path / "me.key"
    if wrong == "behind a file":
        path.write_text("")
        path /= "me.key"
    elif wrong == "folder":
        path.mkdir()
    elif wrong == "fifo":
        os.mkfifo(path, 0o600)
    elif wrong == "dangling":
        path.symlink_to("nothing")
    elif wrong == "device":
        path.symlink_to("/dev/null")
    with pytest.raises(OSError, match="; ") as caught:
        read(path)
    expected = {"folder": errno.EISDIR, "fifo": errno.EINVAL, "device": errno.EINVAL, "behind a file": errno.ENOTDIR}
    assert (caught.value.errno, caught.value.filename) == (expected.get(wrong, errno.ENOENT), str(path))


def test_a_symlink_to_a_good_file_will_do(pair, tmp_path):
    (tmp_path / "link.key").symlink_to(pair)
    assert read_secret(tmp_path / "link.key") == read_secret(pair)


def test_a_file_over_4_kib_is_refused(pair):
    pair.write_bytes(pair.read_bytes() + b"#" * (4096 - pair.stat().st_size))
    assert read_secret(pair)
    pair.write_bytes(pair.read_bytes() + b"\n")
    with pytest.raises(OSError, match="more than 4,096 bytes") as caught:
        read_secret(pair)
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize("suffix", [".key", ".pub"])
def test_every_cut_is_noticed_and_told_without_the_key(pair, suffix):
    """Row KY-1."""
    path = pair.with_suffix(suffix)
    read = read_secret if suffix == ".key" else read_public
    whole = path.read_bytes()
    public, secret = read_secret(pair)
    for size in range(len(whole) - 1):  # the newline at the end may go
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cut short") as caught:
            read(path)
        told = shown(caught.value)
        assert str(path) in told
        assert not any(key[at : at + 8].decode() in told for key in (public, secret) for at in range(0, 33))
        path.write_bytes(whole)


def test_public_and_secret_files_are_not_taken_for_one_another(pair):
    """Row KY-1."""
    with pytest.raises(ValueError, match=r"nobody else's; give the \.pub file"):
        read_public(pair)
    public = pair.with_suffix(".pub")
    public.chmod(0o600)
    with pytest.raises(ValueError, match=r"no secret key: a public-key file.*give the \.key file"):
        read_secret(public)


def test_keys_that_do_not_belong_together_are_refused(pair):
    """Row KY-1."""
    _, secret = read_secret(pair)
    other, _ = keypair()
    for text in (b"public %b\nsecret %b\n" % (other, secret), b"secret %b\n" % secret):
        pair.write_bytes(text)
        with pytest.raises(ValueError, match="do not belong together") as caught:
            read_secret(pair)
        assert secret.decode() not in shown(caught.value)


@pytest.mark.parametrize(
    ("junk", "wrong"),
    [
        (b"", "holds no key: empty"),
        (b"\n\n# only a comment\n", "holds no key"),
        (bytes(range(256)), "line 1: neither"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "line 1: neither"),
        (b"secret " + b"\xff" * 40, "not among Z85's"),
        (b"secret one two", "line 1: neither"),
        (b"secret\x85" + b"S" * 40, "line 1: neither"),
        (b"# x\nsekret " + b"S" * 40, "line 2: neither"),
        (b"secret " + b"0" * 40 + b"\nsecret " + b"1" * 40, "line 2: a second secret key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "line 1: neither"),
    ],
)
def test_junk_is_refused_and_not_shown(pair, junk, wrong):
    pair.write_bytes(junk)
    for read in (read_secret, read_public):
        with pytest.raises(ValueError, match=wrong) as caught:
            read(pair)
        told = shown(caught.value)
        assert str(pair) in told
        assert not any(piece in told for piece in ("SSSS", "sekret", "BEGIN", "ELF", "one two"))


def test_line_ends_blank_lines_and_foreign_comments_are_fine(pair):
    expected = read_secret(pair)
    pair.write_bytes(b"# Schl\xfcssel\r\n\r\n" + pair.read_bytes().replace(b"\n", b"  \r\n"))
    assert read_secret(pair) == expected


def test_a_public_key_may_be_given_as_its_text(tmp_path, monkeypatch):
    public, _ = keypair()
    assert read_public(public.decode()) == public
    monkeypatch.chdir(tmp_path)
    write_new("a.key")
    os.rename("a.pub", "b" * 40)  # a file of that name, as unlikely as it is, comes first
    assert read_public("b" * 40) == read_secret("a.key")[0]


@pytest.mark.parametrize("given", ["SeCrEt" * 6, "SeCrE" * 7 + "SeCr ", "SeCrEt", "SeCrE" * 8 + "x", "SeCrE\0"])
def test_a_text_that_is_neither_key_nor_file_is_not_shown(given):
    with pytest.raises(ValueError, match="neither a file that is there nor a public key") as caught:
        read_public(given)
    assert "SeC" not in shown(caught.value).replace(repr(given), "")


def test_a_missing_public_file_is_called_by_its_path():
    """Row KY-1."""
    with pytest.raises(FileNotFoundError, match=r"no such file; zbus keys new makes one: 'me\.pub'"):
        read_public("me.pub")
    assert keyfile.MOST == 4096
