"""The web example as its users run it: a real browser, real gunicorn workers, one of them killed.

It needs Flask, gunicorn, selenium and Chromium (``tox -e shop``), and is skipped where they are not.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "web"
#: Seconds that nothing here takes.
LONG = 20.0

needed = "ZBUS_SHOP" in os.environ  # then what is missing is a failure
if not needed:
    for module in ("flask", "gunicorn", "selenium"):
        pytest.importorskip(module, reason=f"the web example's tests need {module}: tox -e shop")


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(12_000, 20_000)
        with socket.socket() as probe:
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


def eventually(holds: Callable[[], Any]) -> Any:
    """What `holds` returns, once that is true."""
    deadline = time.monotonic() + LONG
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.02)


class Shop:
    """The desk and the shop, each in processes of its own."""

    def __init__(self) -> None:
        self.port, *ports = free_ports(4)
        self.desk_ports = [f"tcp://127.0.0.1:{port}" for port in ports]
        names = ("SHOP_QUOTES", "SHOP_PUBLISHERS", "SHOP_SUBSCRIBERS")
        self._environment = os.environ | dict(zip(names, self.desk_ports, strict=True))
        self._environment |= {"PYTHONPATH": str(ROOT), "PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        self._running: list[subprocess.Popen[bytes]] = []
        self._open: list[Any] = []
        flags = ("--quotes", "--publishers", "--subscribers")
        options = [word for pair in zip(flags, self.desk_ports, strict=True) for word in pair]
        self.desk = self._start(sys.executable, str(SHOP / "desk.py"), *options)
        assert self.desk.stdout is not None
        assert self.desk.stdout.readline().startswith(b"desk: ")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        self._running.append(subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE))
        return self._running[-1]

    def serve(self, *command: str) -> subprocess.Popen[bytes]:
        """Start the shop; returns when it answers."""
        shop = self._start(sys.executable, *command)
        eventually(lambda: shop.poll() is not None or self.answers())
        return shop

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/status?format=json")[0] == 200
        except OSError:
            return False

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def listen(self) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        connection.request("GET", "/events?topic=orders.%23")
        answer = connection.getresponse()
        self._open += [answer, connection]
        assert answer.readline().startswith(b"retry")
        return answer

    def close(self) -> None:
        for one in self._open:
            one.close()
        for process in reversed(self._running):
            process.kill()
            process.communicate()


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


def next_event(answer: http.client.HTTPResponse) -> Any:
    """The data of the next event."""
    while not (line := answer.readline()).startswith(b"data: "):
        assert line, "the stream ended"
    return json.loads(line[6:])


def worker_of(order: Any) -> int:
    """The process that took it."""
    return int(order["id"].partition("-")[0])


@pytest.fixture
def browser() -> Iterator[Any]:
    if not needed and not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("the page's test needs Debian's chromium and chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def test_a_page_shows_what_happens_live(shop, browser):
    shop.serve(str(SHOP / "shop.py"))
    browser.get(f"http://127.0.0.1:{shop.port}/")

    def text(name: str) -> str:
        return browser.find_element("id", name).text

    eventually(lambda: text("rate").startswith("1.0"))
    browser.find_element("id", "order").click()
    eventually(lambda: '"sku":7' in text("orders"))
    browser.find_element("id", "quote").click()
    eventually(lambda: text("answer") == "107 for number 7")
    drawn = (
        "return [...document.getElementById('chart').getContext('2d').getImageData(0, 0, 800, 150).data].some(x => x)"
    )
    eventually(lambda: browser.execute_script(drawn))
    shop.desk.kill()
    browser.find_element("id", "quote").click()
    eventually(lambda: text("answer") == "not now: 503")


def test_gevents_own_server_ends_at_once_on_sigterm_with_streams_open(shop):
    server = shop.serve(str(SHOP / "shop.py"))
    listening = shop.listen()
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    assert server.wait(LONG) == 0
    assert time.monotonic() - began < LONG / 4
    assert listening.read().strip() == b""


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["", "preload"])
def test_workers_serve_from_their_first_request_and_one_killed_costs_no_more_than_it_held(shop, preload):
    config = str(SHOP / "gunicorn.conf.py")
    master = shop.serve(
        "-m", "gunicorn", "-c", config, *preload, "-b", f"127.0.0.1:{shop.port}", "--log-level", "error", "shop:app"
    )
    assert shop.ask("GET", "/quote?sku=7") == (200, {"sku": 7, "price": 107})
    listening = [shop.listen() for _ in range(4)]  # by either worker
    status, accepted = shop.ask("POST", "/orders", {"sku": 1})
    assert (status, accepted["sku"]) == (202, 1)
    assert [next_event(one) for one in listening] == [accepted] * 4

    workers, failed = set(), 0
    for number in range(100):
        if number == 30:
            victim = worker_of(accepted)
            os.kill(victim, signal.SIGKILL)
        try:
            status, order = shop.ask("POST", "/orders", {"sku": number})
        except (OSError, http.client.HTTPException):
            failed += 1
            continue
        assert status == 202
        if number > 30:
            workers.add(worker_of(order))
        time.sleep(0.02)
    assert failed <= 1
    assert victim not in workers
    eventually(lambda: workers.add(worker_of(shop.ask("POST", "/orders", {})[1])) or len(workers) == 2)
    for worker in workers:  # each has a stream open: who is stopped accepts nothing
        os.kill(worker, signal.SIGSTOP)
        shop.listen()
        os.kill(worker, signal.SIGCONT)
    began = time.monotonic()
    master.send_signal(signal.SIGTERM)
    assert master.wait(LONG) == 0
    assert time.monotonic() - began < LONG / 2  # and not gunicorn's graceful timeout, which streams would use up


def test_without_its_quotes_it_says_so_in_time_and_recovers(shop):
    shop.serve(str(SHOP / "shop.py"))
    shop.desk.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert shop.ask("GET", "/quote?sku=7")[0] == 503
        assert time.monotonic() - began < LONG / 4
    finally:
        shop.desk.send_signal(signal.SIGCONT)
    eventually(lambda: shop.ask("GET", "/quote?sku=7")[0] == 200)
