"""A Flask app on a bus: orders are published, prices are asked for with a deadline, a page shows what happens live.

    $ pip install flask
    $ python examples/web/desk.py &
    $ python examples/web/shop.py
    shop: http://127.0.0.1:8000

or, with as many workers as you like, made before or after the fork (`--preload`):

    $ pip install flask gunicorn
    $ gunicorn -c examples/web/gunicorn.conf.py shop:app

Everything is declared when this module is imported, and opens in each worker when the bus is started there.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from flask import Flask, Response, request
from gevent.pywsgi import WSGIServer
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import zbus
from zbus.web import EventStream, Status

QUOTES = os.environ.get("SHOP_QUOTES", "tcp://127.0.0.1:5571")
PUBLISHERS = os.environ.get("SHOP_PUBLISHERS", "tcp://127.0.0.1:5572")
SUBSCRIBERS = os.environ.get("SHOP_SUBSCRIBERS", "tcp://127.0.0.1:5573")

bus = zbus.Bus(name="shop")
orders = bus.add(zbus.Publisher(connect=PUBLISHERS))
quotes = bus.add(zbus.Requester(connect=QUOTES))
events = bus.add(EventStream(zbus.Subscriber(connect=SUBSCRIBERS, topics=["orders.#", "rates.#"])))

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/events": events, "/status": Status(bus)})  # type: ignore[method-assign]
numbers = count(1)


def start() -> None:
    """Open everything in this process, and wait until what is published here is heard."""
    bus.start()
    orders.wait_for_subscribers("orders.new", timeout=10)


@app.get("/")
def page() -> Response:
    return Response(Path(__file__).with_name("page.html").read_text(), mimetype="text/html")


@app.post("/orders")
def order() -> tuple[dict[str, object], int]:
    """Tell everybody; whoever is to act on it need not be known here."""
    accepted = {"id": f"{os.getpid()}-{next(numbers)}", **request.get_json()}
    orders.publish("orders.new", accepted)
    return accepted, 202


@app.get("/quote")
def quote() -> tuple[dict[str, object], int, dict[str, str]]:
    """Ask another process, for a second at most; say 503 rather than wait for one that is not there."""
    try:
        return quotes.request({"sku": request.args.get("sku", 0, int)}, timeout=1.0, attempts=2), 200, {}
    except zbus.TimeoutExpired as error:
        return {"error": str(error)}, 503, {"Retry-After": "1"}


def main() -> None:
    start()
    server = bus.add(WSGIServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), app, log=None))
    print(f"shop: http://127.0.0.1:{server.server_port}", flush=True)
    bus.run()


if __name__ == "__main__":
    main()
