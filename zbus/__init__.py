"""zbus: a message bus for gevent programs.

Every ZeroMQ pattern endpoint runs as a greenlet in your process, messages are msgpack, and the same code spans
greenlets, processes and machines: only the address changes.
"""

from .bus.bus import Bus
from .bus.dispatcher import Dispatcher
from .bus.restart import Restart
from .bus.routes import Routes
from .errors import (
    AddressInUse,
    Closed,
    Denied,
    InsecureBind,
    MessageTooLarge,
    ProtocolError,
    RemoteError,
    TimeoutExpired,
    Unavailable,
    Unsupported,
    WrongThread,
    ZbusError,
)
from .green.events import EndpointEvent
from .patterns.pair import Pair
from .patterns.pipeline import Pull, Push
from .patterns.pubsub import Publisher, Subscriber
from .patterns.replier import Replier
from .patterns.requester import Requester
from .patterns.statistics import Statistics
from .security.curve import Curve
from .wire.batch import Batch
from .wire.codec import Codec
from .wire.message import Message

__version__ = "0.1.0"

__all__ = [
    "AddressInUse",
    "Batch",
    "Bus",
    "Closed",
    "Codec",
    "Curve",
    "Denied",
    "Dispatcher",
    "EndpointEvent",
    "InsecureBind",
    "Message",
    "MessageTooLarge",
    "Pair",
    "ProtocolError",
    "Publisher",
    "Pull",
    "Push",
    "RemoteError",
    "Replier",
    "Requester",
    "Restart",
    "Routes",
    "Statistics",
    "Subscriber",
    "TimeoutExpired",
    "Unavailable",
    "Unsupported",
    "WrongThread",
    "ZbusError",
    "__version__",
]
