"""The files of ipc addresses: who listens, who holds the lock, whose folder and whose socket it is."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
import zmq
from faults.foreign import foreign
from waiting import LONG, until

import zbus
from zbus.green import denials, ipc
from zbus.green.ipc import is_live

#: A user that nobody here is.
NOBODY = 65_534


@pytest.fixture
def path(ipc_address: str) -> Path:
    return Path(ipc_address.removeprefix("ipc://"))


@pytest.fixture
def lock(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def test_a_path_is_live_while_somebody_listens(ipc_address: str) -> None:
    path = ipc_address.removeprefix("ipc://")
    assert not is_live(ipc_address)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        assert not is_live(ipc_address)
        listening.listen()
        assert is_live(ipc_address)
    assert not is_live(ipc_address)
    assert not is_live("ipc://*")


def test_an_abstract_name_is_live_while_somebody_listens(ipc_address: str) -> None:
    name = ipc_address.removeprefix("ipc://").replace("/", ".")
    assert not is_live(f"ipc://@{name}")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        assert is_live(f"ipc://@{name}")


def test_a_path_whose_listener_is_too_busy_to_accept_is_live(ipc_address: str) -> None:
    path = ipc_address.removeprefix("ipc://")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(0)
        waiting = []
        while True:
            caller = socket.socket(socket.AF_UNIX)
            waiting.append(caller)
            caller.setblocking(False)
            if caller.connect_ex(path) == errno.EAGAIN:
                break
        assert is_live(ipc_address)
        for caller in waiting:
            caller.close()


# The lock


def test_the_lock_is_there_while_it_is_bound_and_for_its_owner_only(ipc_address: str, lock: Path) -> None:
    with zbus.Pull(bind=ipc_address):
        assert lock.stat().st_mode & 0o777 == 0o600
        with pytest.raises(BlockingIOError):
            ipc.take(str(lock.with_suffix("")))
    assert not lock.exists()


def test_one_lock_is_enough_for_a_path_that_has_two_names(ipc_address: str, path: Path) -> None:
    path.with_name("link").symlink_to(path.parent)
    with zbus.Pull(bind=ipc_address), pytest.raises(zbus.AddressInUse):
        zbus.Pull(bind=f"ipc://{path.with_name('link')}/{path.name}").start()


def test_a_lock_that_nobody_holds_and_one_that_goes_meanwhile_are_no_hindrance(
    ipc_address: str, path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.write_text("")
    flock = ipc.fcntl.flock

    def removed_meanwhile(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        monkeypatch.setattr(ipc.fcntl, "flock", flock)
        lock.unlink()

    monkeypatch.setattr(ipc.fcntl, "flock", removed_meanwhile)
    with zbus.Pull(bind=ipc_address):
        assert lock.exists()


def test_a_path_that_was_left_can_be_bound_at_once(ipc_address: str, lock: Path) -> None:
    with zbus.Pull(bind=[ipc_address, "inproc://another"]) as first:
        first.disconnect(ipc_address)
        with zbus.Pull(bind=ipc_address):
            assert lock.exists()
    until(lambda: not lock.exists())


def test_a_bind_that_fails_leaves_no_lock(ipc_address: str, path: Path, lock: Path) -> None:
    with (
        foreign(zmq.PULL, bind=ipc_address),
        pytest.raises(zbus.AddressInUse),
    ):
        zbus.Pull(bind=ipc_address).start()
    assert not lock.exists()
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match=ipc_address):
        zbus.Pull(bind=ipc_address).start()
    assert not lock.exists()


def test_a_lock_is_never_a_link_to_another_file(ipc_address: str, lock: Path, tmp_path: Path) -> None:
    lock.symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match=f"cannot bind {ipc_address}: .*: {lock}"):
        zbus.Pull(bind=ipc_address).start()
    assert not (tmp_path / "theirs").exists()


# The folder


def test_a_missing_folder_is_made_for_its_owner_only(path: Path) -> None:
    there = path.parent / "new" / "s"
    mask = os.umask(0)
    try:
        with zbus.Pull(bind=f"ipc://{there}"):
            assert there.parent.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(mask)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_refused(ipc_address: str, path: Path, mode: int) -> None:
    path.parent.chmod(mode)
    with pytest.raises(zbus.InsecureBind, match=rf"write to {path.parent} \(mode {mode:04o}\).*chmod go-w"):
        zbus.Pull(bind=ipc_address).start()
    assert not list(path.parent.iterdir())
    path.parent.chmod(mode | 0o1000)
    with zbus.Pull(bind=ipc_address):
        pass
    path.parent.chmod(mode)
    with zbus.Pull(bind=ipc_address, insecure=True):
        pass


# The owner


def serve_as(user: int, path: Path) -> int:
    """A process of another user that is bound there; its id. It goes there first: he may not see the folders above."""
    ready, told = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.chdir(path.parent)
            os.setuid(user)
            bound = zmq.Context().socket(zmq.PULL)
            bound.bind(f"ipc://{path.name}")
            os.write(told, b"x")
            bound.poll()
        finally:
            os._exit(1)
    os.close(told)
    said = os.read(ready, 1)
    os.close(ready)
    assert said == b"x"
    return pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_nobody_connects_to_the_socket_of_another_user(ipc_address: str, path: Path) -> None:
    path.parent.chmod(0o1777)
    pid = serve_as(NOBODY, path)
    try:
        with pytest.raises(zbus.InsecureBind, match=f"belongs to user {NOBODY}.*insecure=True"):
            zbus.Push(connect=ipc_address).start()
        with zbus.Push(connect=ipc_address, insecure=True, linger=0) as push:
            push.wait_for_peers(timeout=LONG)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_a_server_that_turns_out_to_be_another_users_is_left_and_asked_again(
    ipc_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denials, "FIRST", 0.01)
    trusted = False
    monkeypatch.setattr(ipc, "_is_trusted", lambda user: trusted)
    with zbus.Push(connect=ipc_address, linger=0, reconnect=(0.01, 0.05)) as push, zbus.Pull(bind=ipc_address) as pull:
        with pytest.raises(zbus.Denied, match=f"the server there is user {os.geteuid()}"):
            push.wait_for_peers(timeout=LONG)
        assert pull.statistics().received == 0
        trusted = True
        until(lambda: push.peers == 1)


def test_an_abstract_name_has_no_file_and_its_owner_is_asked_for_all_the_same(
    ipc_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "ipc://@" + ipc_address.removeprefix("ipc://").replace("/", ".")
    monkeypatch.setattr(ipc, "_is_trusted", lambda user: False)
    with zbus.Pull(bind=address), zbus.Push(connect=address, linger=0) as push, pytest.raises(zbus.Denied):
        push.wait_for_peers(timeout=LONG)


def test_a_connection_that_ended_before_it_was_looked_at_is_not_for_its_descriptor_may_be_anybodys(
    ipc_address: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    monkeypatch.setattr(ipc, "stranger", lambda descriptor: looked_at.append(descriptor) or "")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(LONG)
        with zbus.Push(connect=ipc_address, linger=0, reconnect=(0.01, 0.05)) as push:
            listening.accept()[0].close()  # none of this lets the loop turn
            with listening.accept()[0]:
                until(lambda: looked_at)
                push._port.monitor.drain()
                assert len(looked_at) == 1
