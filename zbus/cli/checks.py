"""What ``zbus doctor`` checks: `CHECKS`, one function a check, each of which yields what it finds."""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import NoReturn

import gevent
import msgpack
from gevent import monkey

from ..green.curve import available, fingerprint
from ..green.versions import versions
from ..patterns.pipeline import Pull
from ..security.authorised import Authorised
from ..security.keyfile import PUBLIC, SECRET, read_public, read_secret
from .finding import Finding
from .strangers import check_strangers

#: The lowest versions that will do: those of setup.cfg, and of libzmq the first with ZAP_ENFORCE_DOMAIN.
LOWEST = {"Python": "3.10", "pyzmq": "26", "libzmq": "4.3", "gevent": "24.2", "msgpack": "1.2.1"}
#: File descriptors below which a server of many clients will soon want for more.
DESCRIPTORS = 1024
#: Seconds that a forked child has.
PATIENCE = 10.0
#: A cgroup's limit from here on is none: version 1 says "none" as a number near 2**63.
UNLIMITED = 2**60

_PROC, _CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def check_versions(arguments: argparse.Namespace) -> Iterator[Finding]:
    """What zbus stands on, against `LOWEST`."""
    found = {"Python": platform.python_version(), **versions(), "msgpack": ".".join(map(str, msgpack.version))}
    for name, lowest in LOWEST.items():
        if _numbers(found[name]) < _numbers(lowest):
            yield Finding("FAIL", name, f"{found[name]}, which is too old; install {lowest} or later")
        else:
            yield Finding("ok", name, found[name])


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def check_curve(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Can this libzmq encrypt?"""
    if available():
        yield Finding("ok", "CURVE", "libzmq can encrypt")
    else:
        yield Finding("FAIL", "CURVE", "libzmq was built without it; install pyzmq from its wheels")


def check_descriptors(arguments: argparse.Namespace) -> Iterator[Finding]:
    """How many files and connections may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        yield Finding("ok", "file descriptors", "no limit")
    elif soft < DESCRIPTORS:
        yield Finding("warn", "file descriptors", f"{soft} at most, one a connection; ulimit -n {DESCRIPTORS} or more")
    else:
        yield Finding("ok", "file descriptors", f"{soft:,} at most")


def check_memory(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Does anything stop a process whose peers send without end?"""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limits = {"address space": soft if soft != resource.RLIM_INFINITY else None, "cgroup": cgroup_limit()}
    told = [f"{name} {limit / 2**20:,.0f} MiB" for name, limit in limits.items() if limit is not None]
    if told:
        yield Finding("ok", "memory limit", ", ".join(told))
    else:
        advice = "set one with systemd's MemoryMax=, the container's limit or ulimit -v"
        yield Finding("warn", "memory limit", f"none, so a peer that is let in can use up this machine's; {advice}")


def cgroup_limit() -> int | None:
    """Bytes of memory that the cgroups of this process allow, of versions 1 and 2; None: no limit, or no cgroups."""
    try:
        groups = [line.split(":", 2) for line in _PROC.read_text().splitlines()]
    except OSError:
        return None
    limits = []
    for _, controllers, name in groups:
        if controllers and "memory" not in controllers.split(","):
            continue
        root, file = (_CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (_CGROUPS, "memory.max")
        group = root / name.lstrip("/")
        for folder in (group, *group.parents):  # a group above limits those below; a container may see only the root
            if folder.is_relative_to(root):
                try:
                    limits.append(int((folder / file).read_text()))
                except (OSError, ValueError):  # not there, or the word "max"
                    continue
    return min((limit for limit in limits if limit < UNLIMITED), default=None)


def check_patching(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Is the standard library gevent's here? Either will do."""
    patched = [name for name in ("socket", "ssl", "threading", "time", "subprocess") if monkey.is_module_patched(name)]
    told = f"{', '.join(patched)} by gevent" if patched else "not in this process"
    yield Finding("ok", "monkey-patching", f"{told}; zbus works either way")


def check_fork(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Can a child that is forked beside an open endpoint open its own, and end?"""
    with Pull(bind="tcp://127.0.0.1:*"):
        pid = os.fork()
        if not pid:
            _be_child()
        status = _status_of(pid)
    if status is None:
        yield Finding("FAIL", "fork", f"a child was not done after {PATIENCE:g} s; start processes by spawn instead")
        return
    if status:
        code = os.waitstatus_to_exitcode(status)
        yield Finding("FAIL", "fork", f"a child ended with {code}, not 0; start processes by spawn instead")
    else:
        yield Finding("ok", "fork", "a child opened an endpoint of its own")


def _status_of(pid: int) -> int | None:
    """How the child ended; None: not in time. By looking: gevent's own wait would take the status of every child that
    the process has."""
    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        gevent.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _be_child() -> NoReturn:
    """Open an endpoint, close it, and end with 0; with 1 if that cannot be done."""
    status = 1
    try:
        with Pull(bind="tcp://127.0.0.1:*") as pull:
            status = 0 if pull.addresses else 1
    finally:
        os._exit(status)


def check_keys(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Modes and contents of the key files in ``--keys``."""
    if arguments.keys is None:
        return
    folder = Path(arguments.keys)
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        names = sorted(folder.iterdir())
    except OSError as error:
        yield Finding("FAIL", str(folder), f"{error.strerror}; give a folder that you may read")
        return
    if mode & 0o022:
        yield Finding("FAIL", str(folder), f"group or others may put files into it (mode {mode:04o}); chmod go-w it")
    files = [path for path in names if path.suffix in (SECRET, PUBLIC) or path.name == "authorised"]
    for path in files:
        try:
            yield Finding("ok", str(path), _look_at(path))
        except OSError as error:
            yield Finding("FAIL", str(path), error.strerror or type(error).__name__)
        except ValueError as error:
            yield Finding("FAIL", str(path), str(error).removeprefix(f"{path}: ").removeprefix(f"{path}, "))
    if not files:
        yield Finding("warn", str(folder), "no key files in it; zbus keys new makes them")


def _look_at(path: Path) -> str:
    """What a good file is; `OSError` or `ValueError` of a bad one."""
    if path.suffix == SECRET:
        public = read_secret(path)[0]
        beside = path.with_suffix(PUBLIC)
        if beside.exists() and read_public(beside) != public:
            raise ValueError(f"{beside.name} is not its public key; write that anew from zbus keys show {path}")
        return f"secret key, its public one is {fingerprint(public)}"
    if path.suffix == PUBLIC:
        return f"public key {fingerprint(read_public(path))}"
    Authorised(path).check()
    return "authorised file, every line is good"


#: What is checked, in this order. A check yields what it finds.
CHECKS: list[Callable[[argparse.Namespace], Iterator[Finding]]] = [
    check_versions,
    check_curve,
    check_descriptors,
    check_memory,
    check_patching,
    check_strangers,
    check_fork,
    check_keys,
]
