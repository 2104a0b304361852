"""Which versions the sockets stand on."""

from __future__ import annotations

import gevent
import zmq


def versions() -> dict[str, str]:
    """The versions of pyzmq, of the libzmq it was built with, and of gevent."""
    return {"pyzmq": zmq.pyzmq_version(), "libzmq": zmq.zmq_version(), "gevent": gevent.__version__}
