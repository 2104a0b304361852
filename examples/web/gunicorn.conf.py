"""gunicorn -c examples/web/gunicorn.conf.py shop:app"""

import signal
from pathlib import Path

import gevent

pythonpath = str(Path(__file__).parent)
worker_class = "gevent"
workers = 2


def post_worker_init(worker):
    """In each worker, before its first request."""
    import shop

    shop.start()
    end = signal.getsignal(signal.SIGTERM)

    def end_streams_too(*arguments):
        end(*arguments)  # no new requests; waits for those that run, and a stream of events would run on
        gevent.spawn(shop.events.stop)

    signal.signal(signal.SIGTERM, end_streams_too)


def worker_exit(server, worker):
    """No request runs any more."""
    import shop

    shop.bus.stop()
