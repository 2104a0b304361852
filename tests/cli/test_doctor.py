"""``zbus doctor``: a line a finding, exit 1 at a failure, and each check told apart from a machine that is fit."""

from __future__ import annotations

import os
import re
import resource
import signal
from argparse import Namespace
from configparser import ConfigParser
from pathlib import Path

import pytest
from gevent import monkey

from zbus.cli import checks, doctor, main, strangers
from zbus.cli.finding import Finding
from zbus.errors import InsecureBind
from zbus.green import authentication, far, options
from zbus.security.authorised import Authorised, authorise
from zbus.security.keyfile import write_new
from zbus.security.users import User

SETUP = Path(__file__).parent.parent.parent / "setup.cfg"


def found(check, **arguments) -> list[Finding]:
    return list(check(Namespace(**{"keys": None, **arguments})))


def levels(findings) -> list[str]:
    return [finding.level for finding in findings]


@pytest.fixture
def folder(tmp_path):
    """A folder of good key files."""
    tmp_path.chmod(0o700)
    public = write_new(tmp_path / "me.key")
    authorise(tmp_path / "authorised", "me", public)
    return tmp_path


def test_here_nothing_fails_and_every_line_has_its_form(folder, capsys):
    assert main(["doctor", "--keys", str(folder)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(re.fullmatch(r"(ok  |warn)  [^:]+: .+", line) for line in out.splitlines())
    told = [line[6:].split(": ")[0] for line in out.splitlines()]
    assert told == [
        *checks.LOWEST,
        "CURVE",
        "file descriptors",
        "memory limit",
        "monkey-patching",
        "ZAP without a key",
        "ZAP with a key",
        "fork",
        *(str(folder / name) for name in ("authorised", "me.key", "me.pub")),
    ]


def test_a_failure_is_told_and_exits_1_after_all_checks(capsys, monkeypatch):
    def fails(arguments):
        yield Finding("warn", "first", "so so; see to it")
        yield Finding("FAIL", "second", "bad; mend it")

    def check_that_breaks(arguments):
        yield Finding("ok", "third", "good")
        raise RuntimeError("a defect")

    monkeypatch.setattr(doctor, "CHECKS", [fails, check_that_breaks, checks.check_patching])
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[:4] == [
        "warn  first: so so; see to it",
        "FAIL  second: bad; mend it",
        "ok    third: good",
        "FAIL  check that breaks: the check broke with RuntimeError: a defect",
    ]
    assert "monkey-patching" in out
    assert err == "zbus: 2 checks failed; see the lines with FAIL\n"


def test_a_warning_alone_is_no_failure(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", [lambda arguments: iter([Finding("warn", "it", "so so")])])
    assert main(["doctor"]) == 0


def test_the_lowest_versions_are_those_that_are_declared():
    config = ConfigParser()
    config.read(SETUP, encoding="utf-8")
    declared = dict(line.split(">=") for line in config["options"]["install_requires"].split())
    declared["Python"] = config["options"]["python_requires"].removeprefix(">=")
    assert {name: version for name, version in checks.LOWEST.items() if name != "libzmq"} == declared


@pytest.mark.parametrize(
    ("lowest", "level"), [("1", "ok"), ("1.2.1", "ok"), ("1.3", "FAIL"), ("1.10", "FAIL"), ("2", "FAIL")]
)
def test_versions_are_compared_as_numbers(monkeypatch, lowest, level):
    monkeypatch.setattr(checks, "LOWEST", {"msgpack": lowest})
    monkeypatch.setattr(checks.msgpack, "version", (1, 2, 9))
    assert levels(found(checks.check_versions)) == [level]


def test_a_libzmq_without_curve_fails(monkeypatch):
    monkeypatch.setattr(checks, "available", lambda: False)
    assert levels(found(checks.check_curve)) == ["FAIL"]


@pytest.mark.parametrize(
    ("soft", "level", "told"),
    [(1023, "warn", "1023 at most"), (1024, "ok", "1,024 at most"), (resource.RLIM_INFINITY, "ok", "no limit")],
)
def test_few_file_descriptors_are_a_warning(monkeypatch, soft, level, told):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, soft))
    [finding] = found(checks.check_descriptors)
    assert (finding.level, told in finding.detail) == (level, True)


@pytest.mark.parametrize(
    ("space", "group", "level", "told"),
    [
        (resource.RLIM_INFINITY, None, "warn", "none"),
        (2**30, None, "ok", "address space 1,024 MiB"),
        (resource.RLIM_INFINITY, 2**29, "ok", "cgroup 512 MiB"),
        (2**30, 2**29, "ok", "address space 1,024 MiB, cgroup 512 MiB"),
    ],
)
def test_no_limit_of_memory_is_a_warning(monkeypatch, space, group, level, told):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (space, space))
    monkeypatch.setattr(checks, "cgroup_limit", lambda: group)
    [finding] = found(checks.check_memory)
    assert (finding.level, told in finding.detail) == (level, True)


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/a/b", {"a/b/memory.max": "4096\n"}, 4096),
        ("0::/a/b", {"a/b/memory.max": "max\n", "a/memory.max": "8192\n"}, 8192),
        ("0::/a/b", {"a/b/memory.max": "9000\n", "a/memory.max": "8192\n"}, 8192),
        ("0::/not/seen/here", {"memory.max": "4096\n"}, 4096),
        ("0::/a", {"a/memory.max": "max\n"}, None),
        ("0::/", {}, None),
        ("3:cpuset:/x\n2:memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": "4096\n"}, 4096),
        ("2:cpu,memory:/a", {"memory/a/memory.limit_in_bytes": "4096\n"}, 4096),
        ("2:memory:/a", {"memory/a/memory.limit_in_bytes": f"{2**63 - 4096}\n"}, None),
        ("3:cpuset:/a", {"a/memory.max": "4096\n"}, None),
        (None, {"memory.max": "4096\n"}, None),
    ],
)
def test_the_lowest_limit_of_a_cgroup_and_those_above_it_counts(monkeypatch, tmp_path, own, files, limit):
    monkeypatch.setattr(checks, "_PROC", tmp_path / "own")
    monkeypatch.setattr(checks, "_CGROUPS", tmp_path / "groups")
    if own is not None:
        (tmp_path / "own").write_text(own + "\n")
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert checks.cgroup_limit() == limit


def test_patching_is_told_and_either_way_is_fine(monkeypatch):
    [finding] = found(checks.check_patching)
    assert (finding.level, finding.detail) == ("ok", "not in this process; zbus works either way")
    monkeypatch.setattr(monkey, "is_module_patched", lambda name: name in ("socket", "threading"))
    [finding] = found(checks.check_patching)
    assert (finding.level, finding.detail) == ("ok", "socket, threading by gevent; zbus works either way")


def test_strangers_are_kept_out_here_and_no_log_tells_of_it(caplog):
    assert [finding[:2] for finding in found(checks.check_strangers)] == [
        ("ok", "ZAP without a key"),
        ("ok", "ZAP with a key"),
    ]
    assert caplog.text == ""


def test_without_curve_nobody_with_a_key_is_tried(monkeypatch):
    monkeypatch.setattr(strangers, "available", lambda: False)
    assert levels(found(checks.check_strangers)) == ["ok"]


def test_a_door_that_lets_in_an_unknown_key_fails(monkeypatch):
    monkeypatch.setattr(Authorised, "lookup", lambda self, key: User("anybody", frozenset()))
    without, with_key = found(checks.check_strangers)
    assert (without.level, with_key.level) == ("ok", "FAIL")
    assert with_key.detail.startswith("who has an unknown key is let in; ")


def test_a_door_that_takes_an_old_protocol_fails(monkeypatch):
    monkeypatch.setattr(authentication, "guard", lambda socket: None)
    insists = {options.ALWAYS[1][0]: 0}
    monkeypatch.setattr(options, "ALWAYS", [(option, insists.get(option, value)) for option, value in options.ALWAYS])
    monkeypatch.setattr(far.Far, "_guard", lambda self, address, verb: None)  # sets the domain
    monkeypatch.setattr(strangers, "PATIENCE", 0.2)
    assert levels(found(checks.check_strangers))[0] == "FAIL"


def test_a_check_at_the_start_that_fails_is_told(monkeypatch):
    def refuses(socket):
        raise InsecureBind("nobody answers")

    monkeypatch.setattr(authentication, "guard", refuses)
    [finding] = found(checks.check_strangers)
    assert (finding.level, finding.what) == ("FAIL", "ZAP")
    assert finding.detail.startswith("nobody answers; ")


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (lambda: os._exit(3), "ended with 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended with -9"),
        (signal.pause, "not done after 0.05 s"),
    ],
)
def test_a_child_that_does_not_do_well_fails(monkeypatch, ends, told):
    monkeypatch.setattr(checks, "_be_child", ends)
    monkeypatch.setattr(checks, "PATIENCE", 0.05 if ends is signal.pause else 10.0)
    [finding] = found(checks.check_fork)
    assert (finding.level, told in finding.detail) == ("FAIL", True)


def test_each_key_file_is_looked_at_and_a_bad_one_fails_by_itself(folder):
    assert levels(found(checks.check_keys, keys=str(folder))) == ["ok"] * 3
    (folder / "me.key").chmod(0o644)
    (folder / "authorised").write_text("zoe\n")
    findings = {Path(one.what).name: one for one in found(checks.check_keys, keys=str(folder))}
    assert {name: one.level for name, one in findings.items()} == {
        "authorised": "FAIL",
        "me.key": "FAIL",
        "me.pub": "ok",
    }
    assert findings["authorised"].detail == "line 1: a name without a key; write 'name key [role ...]'"
    assert findings["me.key"].detail.startswith("group or others may use it (mode 0644); ")


def test_a_public_file_of_another_key_fails(folder):
    write_new(folder / "other.key")
    os.replace(folder / "other.pub", folder / "me.pub")
    findings = {Path(one.what).name: one for one in found(checks.check_keys, keys=str(folder))}
    assert findings["me.key"].level == "FAIL"
    assert "me.pub is not its public key" in findings["me.key"].detail
    assert findings["other.key"].level == "ok"


def test_a_folder_that_others_may_write_fails_and_one_without_keys_is_a_warning(tmp_path):
    tmp_path.chmod(0o770)
    (tmp_path / "notes.txt").write_text("not a key")
    first, second = found(checks.check_keys, keys=str(tmp_path))
    assert (first.level, "chmod go-w" in first.detail) == ("FAIL", True)
    assert (second.level, "no key files" in second.detail) == ("warn", True)


@pytest.mark.parametrize("name", ["nowhere", "a file"])
def test_what_is_no_folder_fails(tmp_path, name):
    (tmp_path / "a file").write_text("")
    [finding] = found(checks.check_keys, keys=str(tmp_path / name))
    assert (finding.level, finding.what) == ("FAIL", str(tmp_path / name))


def test_without_a_folder_no_keys_are_looked_for():
    assert found(checks.check_keys) == []
