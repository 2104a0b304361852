"""What is done when time is over, and was over a while ago.

A process that stood still (SIGSTOP, a machine that slept) finds every timer due at the moment it goes on, and what
came for it meanwhile not yet received: libzmq's thread stood still, too, and begins at the same moment. So whoever is
told late that his time is over waits on a little for what may have come before.
"""

from __future__ import annotations

#: The least and the most seconds that are waited on.
SHORTEST, LONGEST = 0.01, 0.2
#: Seconds by which any timer may be late.
_ALWAYS = 0.001


def grace(late: float) -> float:
    """Seconds to wait on when time was over `late` seconds ago: as many again, within bounds; mostly none."""
    return min(max(late, SHORTEST), LONGEST) if late > _ALWAYS else 0.0
