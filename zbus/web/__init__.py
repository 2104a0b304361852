"""zbus in a gevent web application: what is published as server-sent events, and a page of all that runs.

Both are WSGI applications. They need nothing but the standard library and a server whose requests are greenlets:
gevent's own `pywsgi`, or gunicorn with ``-k gevent``.
"""

from .events import EventStream
from .status import Status

__all__ = ["EventStream", "Status"]
