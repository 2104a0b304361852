"""Sockets that wait as greenlets do. The only package that imports zmq."""

from .context import Context, context, terminate
from .socket import Socket

__all__ = ["Context", "Socket", "context", "terminate"]
