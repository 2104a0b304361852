"""What is done when time is over, and was over a while ago.

A process that stood still (SIGSTOP, a machine that slept) finds every timer due at the moment it goes on, and what
came for it meanwhile not yet received: libzmq's thread stood still, too, and begins at the same moment. So whoever is
told late that his time is over waits on a little for what may have come before.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import zmq

if TYPE_CHECKING:
    from .readiness import Readiness

#: The least and the most seconds that are waited on.
SHORTEST, LONGEST = 0.01, 0.2
#: Seconds by which any timer may be late.
_ALWAYS = 0.001
#: What proves a missed wake-up: a message found though nobody has looked for so many seconds, or else it may have come
#: since, and so few seconds, at most, after a look that saw no signal of it.
PROOF, SUDDEN = 0.05, 0.0005


def grace(late: float) -> float:
    """Seconds to wait on when time was over `late` seconds ago: as many again, within bounds; mostly none."""
    return min(max(late, SHORTEST), LONGEST) if late > _ALWAYS else 0.0


def is_told(ready: Readiness, waited: float) -> bool:
    """Is a wake-up on its way to one who `waited` in vain? Ask before his last try, which takes the signal."""
    on_its_way = ready.nudged or ready.later or waited < PROOF or monotonic() - ready.looked < PROOF
    return on_its_way or bool(zmq.zmq_poll([(ready.fd, zmq.POLLIN)], 0))
