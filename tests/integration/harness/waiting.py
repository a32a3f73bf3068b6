"""Bounded waits. XTCP2_SLOW=N multiplies every bound, for builds with sanitizers."""

import os
import time

SLOW = float(os.environ.get("XTCP2_SLOW", "1"))


def bound(seconds):
    """The bound |seconds| on this build."""
    return seconds * SLOW


def until(condition, seconds, what):
    """Looks at condition() until it is true, and returns that; fails after |seconds| (scaled), naming |what|."""
    deadline = time.monotonic() + bound(seconds)
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {bound(seconds):g} s: {what}"
        time.sleep(0.002)
