"""What both sides of the soak go by."""

from __future__ import annotations

from typing import Any

#: Seconds between two messages of one greenlet; long enough that two cores are not the limit.
PACE = 0.005
#: Options: who is gone is missed soon, who is back is found soon.
FAST: Any = {"heartbeat": 0.5, "reconnect": (0.02, 0.2)}
