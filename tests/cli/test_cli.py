"""The command: its exit statuses, what goes to which stream, and what it is told by `--version`."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import zbus
from zbus.cli import main
from zbus.errors import ZbusError

ROOT = Path(zbus.__file__).resolve().parent.parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT["PYTHONPATH"] = str(ROOT)


def zbus_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zbus", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=20)


def test_version_tells_one_thing_a_line(capsys):
    assert main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["zbus", "pyzmq", "libzmq", "gevent", "msgpack", "Python"]
    assert lines[0] == f"zbus {zbus.__version__}"
    assert lines[-1] == f"Python {platform.python_version()}"
    assert all(len(line.split()) == 2 for line in lines)


def test_the_package_runs_as_a_program():
    done = zbus_command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"zbus {zbus.__version__}\npyzmq ")


def test_no_command_prints_the_help_and_exits_2(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: zbus")
    assert "demo" in err


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"]])
def test_help_that_was_asked_for_is_no_error(capsys, arguments):
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: zbus")
    assert err == ""


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["demo", "--nonsense"], ["demo", "twice"]])
def test_a_mistake_on_the_command_line_is_one_line_and_exits_2(capsys, arguments):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zbus")
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [ZbusError("the world\nwent wrong"), OSError(28, "No space left on device")])
def test_an_error_is_one_line_and_exits_1(capsys, monkeypatch, error):
    def fail(arguments):
        raise error

    monkeypatch.setattr("zbus.cli.demo.run", fail)
    assert main(["demo"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"zbus: {' '.join(str(error).split())}\n"


def test_an_error_of_the_program_itself_is_not_hidden(monkeypatch):
    def fail(arguments):
        raise AssertionError("a defect")

    monkeypatch.setattr("zbus.cli.demo.run", fail)
    with pytest.raises(AssertionError, match="a defect"):
        main(["demo"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_one_line(number):
    command = [sys.executable, "-m", "zbus", "demo"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = iter(process.stdout.readline, "")
        assert any("alice" in line for line in lines)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "zbus: interrupted\n")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["demo"]])
def test_a_reader_that_has_enough_ends_it_without_a_word(arguments):
    command = [sys.executable, "-m", "zbus", *arguments]
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        _, err = process.communicate(timeout=20)
    assert err == ""
    assert process.returncode == 1
