"""The authorised file on the disk: changes take effect at the next lookup, mistakes keep the last good state, and
writers never show a reader half a file."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

import zbus
from zbus.green.curve import raw, z85
from zbus.security import authorised as module
from zbus.security import trusted
from zbus.security.authorised import Authorised, authorise, revoke
from zbus.security.users import User

#: For a program that is to find this zbus.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(zbus.__file__).resolve().parent.parent)}


def key(number: int) -> bytes:
    return z85(bytes([number]) * 32)


OLD, NEW, OTHER = key(1), key(2), key(3)


@pytest.fixture
def path(tmp_path):
    """An authorised file in which zoe has the key OLD."""
    path = tmp_path / "authorised"
    path.write_text(f"# who\nzoe {OLD.decode()} reader\n")
    path.chmod(0o644)
    return path


@pytest.fixture
def reads(monkeypatch):
    """The paths that were read, one by one; what was changed a moment ago counts as settled."""
    done = []
    read = trusted.read
    monkeypatch.setattr(module, "SETTLED", -60.0)
    monkeypatch.setattr(trusted, "read", lambda path, **options: done.append(path) or read(path, **options))
    return done


def who(table: Authorised, key: bytes) -> str | None:
    user = table.lookup(raw(key))
    return user and user.name


def test_who_has_the_key_comes_in_and_nobody_else(path):
    table = Authorised(path)
    assert table.lookup(raw(OLD)) == User("zoe", frozenset({"reader"}))
    assert table.lookup(raw(NEW)) is table.lookup(b"") is None
    assert table.error == ""


def test_a_native_thread_of_a_patched_program_can_look_and_gets_no_hub(path):
    program = f"""
from gevent import monkey
start, lock = monkey.get_original("_thread", "start_new_thread"), monkey.get_original("_thread", "allocate_lock")()
monkey.patch_all()
from gevent._hub_local import get_hub_if_exists
from zbus.security.authorised import Authorised
table, found = Authorised({str(path)!r}), []
def look():
    found.extend([table.lookup({raw(OLD)!r}).name, get_hub_if_exists()])
    lock.release()
lock.acquire()
start(look, ())
lock.acquire()
print(*found)
"""
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr, done.returncode) == ("zoe None\n", "", 0)


def test_a_path_is_that_of_the_working_folder_at_the_time(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    table = Authorised("authorised")
    monkeypatch.chdir("/")
    assert who(table, OLD) == "zoe"


def test_it_is_read_once_while_it_stays_as_it_is(path, reads):
    table = Authorised(path)
    assert reads == []
    for _ in range(5):
        assert who(table, OLD) == "zoe"
    assert reads == [str(path)]
    path.write_text(f"max {OLD.decode()}\n")
    assert [who(table, OLD) for _ in range(3)] == ["max"] * 3
    assert len(reads) == 2


def test_a_change_that_the_clock_of_the_file_system_is_too_coarse_for_is_seen(path, monkeypatch):
    monkeypatch.setattr(module, "_stamp", lambda status: (status.st_size,))  # all happens within one tick
    table = Authorised(path)
    for name in ("abc", "xyz", "zoe"):
        path.write_text(f"{name} {OLD.decode()}\n")
        assert who(table, OLD) == name


def test_a_change_with_its_times_set_back_is_seen(path, reads):
    table = Authorised(path)
    assert who(table, OLD) == "zoe"
    before = path.stat()
    path.write_text(path.read_text().replace("zoe", "max"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # until the next tick of a coarse clock
        path.chmod(0o644)
    assert who(table, OLD) == "max"


def test_with_a_bad_line_the_last_good_state_stays_in_force_and_the_reason_is_told(path, reads):
    table = Authorised(path)
    assert who(table, OLD) == "zoe"
    path.write_text(f"zoe {OLD.decode()}\nmax {NEW.decode()[:20]}")  # a writer that is half done
    assert (who(table, OLD), who(table, NEW)) == ("zoe", None)
    assert table.error.startswith(f"{path}, line 2: a key has 40 characters, not 20")
    assert len(reads) == 2  # nobody makes it read a bad file at each handshake
    path.write_text(f"max {NEW.decode()}\n")
    assert (who(table, OLD), who(table, NEW), table.error) == (None, "max", "")


def test_a_bad_file_is_not_parsed_at_each_handshake(path, monkeypatch):
    parsed = []
    parse = module.parse
    monkeypatch.setattr(module, "parse", lambda text, source: parsed.append(text) or parse(text, source))
    path.write_text("zoe\n")
    table = Authorised(path)
    assert [who(table, OLD) for _ in range(5)] == [None] * 5
    assert len(parsed) == 1
    assert "line 1" in table.error


def test_bytes_that_are_no_text_are_fine_in_comments_only(path):
    table = Authorised(path)
    path.write_bytes(b"# Jos\xe9\nzoe %b # \xff\n" % OLD)
    assert (who(table, OLD), table.error) == ("zoe", "")
    path.write_bytes(b"zo\xe9 %b\n" % OLD)
    assert who(table, OLD) == "zoe"
    assert "line 1: a name or role" in table.error


@pytest.mark.parametrize("bits", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_not_believed(path, bits):
    table = Authorised(path)
    path.chmod(bits)
    assert who(table, OLD) is None
    assert f"may write it (mode {bits:04o}); chmod go-w" in table.error
    path.chmod(0o644)
    assert (who(table, OLD), table.error) == ("zoe", "")
    path.write_text(f"max {NEW.decode()}\n")
    path.chmod(bits)
    assert (who(table, OLD), who(table, NEW)) == ("zoe", None)


def test_a_missing_file_authorises_nobody_until_it_is_there(path):
    table = Authorised(path)
    assert who(table, OLD) == "zoe"
    text = path.read_text()
    path.unlink()
    assert who(table, OLD) is None
    assert "no such file; zbus keys authorise makes one" in table.error
    path.write_text(text)
    assert (who(table, OLD), table.error) == ("zoe", "")


def test_what_becomes_no_file_or_too_large_keeps_the_last_good_state(path):
    table = Authorised(path)
    assert who(table, OLD) == "zoe"
    path.write_bytes(b"#" * (module.MOST + 1))
    assert who(table, OLD) == "zoe"
    assert "more than 1,048,576 bytes" in table.error
    path.unlink()
    path.mkdir()
    assert who(table, OLD) == "zoe"
    assert "a folder" in table.error


def test_check_tells_at_once_what_lookup_only_remembers(path):
    table = Authorised(path)
    table.check()
    path.write_text("zoe\n")
    with pytest.raises(ValueError, match="authorised, line 1: "):
        table.check()
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no such file; "):
        table.check()


def test_a_repr_tells_path_and_state_and_no_key(path):
    table = Authorised(path)
    who(table, OLD)
    assert repr(table) == f"<Authorised {path}: 1 keys>"
    path.write_text("zoe\n")
    who(table, OLD)
    assert repr(table).startswith(f"<Authorised {path}: 1 keys; {path}, line 1: ")


def test_a_key_is_rotated_without_a_moment_in_which_neither_is_good(path):
    table = Authorised(path)
    authorise(path, "zoe", NEW, ["reader"])
    assert who(table, OLD) == who(table, NEW) == "zoe"
    assert revoke(path, OLD.decode()) == 1
    assert (who(table, OLD), who(table, NEW)) == (None, "zoe")


def test_the_first_to_be_authorised_makes_the_file(tmp_path):
    path = tmp_path / "authorised"
    authorise(path, "zoe", OLD, ["admin", "reader"])
    assert Authorised(path).lookup(raw(OLD)) == User("zoe", frozenset({"admin", "reader"}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.read_text().startswith("# ")
    assert os.listdir(tmp_path) == ["authorised"]


def test_what_others_wrote_stays_byte_for_byte(path):
    kept = b"# Jos\xe9\r\n\n  max\t%b   # since May" % OTHER
    path.write_bytes(kept)
    path.chmod(0o600)
    authorise(path, "zoe", NEW)
    assert path.read_bytes() == kept + b"\nzoe %b\n" % NEW
    assert revoke(path, "zoe") == 1
    assert path.read_bytes() == kept + b"\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symlink_stays_one(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    authorise(link, "max", NEW)
    assert link.is_symlink()
    assert who(Authorised(path), NEW) == "max"


@pytest.mark.parametrize(
    ("name", "key", "roles"),
    [
        ("", NEW, []),
        ("zoe max", NEW, []),
        ("zoe\nmax", NEW, []),
        ("#zoe", NEW, []),
        ("max", NEW[:39], []),
        ("max", NEW, [""]),
        ("max", NEW, ["a b"]),
        ("max", NEW, ["a\nroot"]),
        ("max", NEW, ["#a"]),
        ("max", OLD, []),
    ],
)
def test_a_line_that_would_be_bad_is_not_written(path, name, key, roles):
    before = path.read_bytes()
    with pytest.raises(ValueError):
        authorise(path, name, key, roles)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["authorised"]


def test_a_file_with_a_bad_line_is_for_its_owner_to_mend(path):
    path.write_text("zoe\n")
    for change in (lambda: authorise(path, "max", NEW), lambda: revoke(path, "zoe")):
        with pytest.raises(ValueError, match="line 1"):
            change()
    path.chmod(0o666)
    with pytest.raises(PermissionError):
        revoke(path, "zoe")
    with pytest.raises(FileNotFoundError):
        revoke(path.parent / "nobody", "zoe")


def test_all_keys_of_a_name_go_at_once(path):
    authorise(path, "zoe", NEW)
    authorise(path, "max", OTHER)
    assert revoke(path, "zoe") == 2
    before = path.stat()
    assert revoke(path, "zoe") == revoke(path, OLD.decode()) == 0
    assert path.stat().st_ino == before.st_ino
    assert path.read_text() == f"# who\nmax {OTHER.decode()}\n"


def test_an_interrupted_writer_leaves_the_old_file_and_nothing_beside_it(path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    before = path.read_bytes()
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(trusted.os, "replace", interrupt)
        authorise(path, "max", NEW)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["authorised"]


def test_a_reader_beside_writers_sees_whole_files_only_and_no_line_is_lost(path):
    table = Authorised(path)
    done = False

    def read() -> tuple[int, set[str]]:
        count, errors = 0, set()
        while not done:
            assert who(table, OLD) == "zoe"
            errors.add(table.error)
            count += 1
        return count, errors

    def write(writer: int) -> None:
        for number in range(4):
            authorise(path, f"w{writer}", key(10 * writer + number))
        assert revoke(path, key(10 * writer).decode()) == 1

    with ThreadPoolExecutor(4) as pool:
        reader = pool.submit(read)
        try:
            list(pool.map(write, (1, 2, 3)))
        finally:
            done = True
        count, errors = reader.result()
    assert count > 0
    assert errors == {""}
    assert [who(table, key(10 * writer + number)) for writer in (1, 2, 3) for number in range(4)] == [
        None if number == 0 else f"w{writer}" for writer in (1, 2, 3) for number in range(4)
    ]
    assert os.listdir(path.parent) == ["authorised"]
