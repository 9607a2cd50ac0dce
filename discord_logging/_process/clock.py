"""Stands in for the module `time` where a wait has a deadline: nothing in the process moves or stops this clock.

freezegun stops `time.monotonic` wherever it finds it in a module, and a `flush` in frozen time would never end.
"""

from __future__ import annotations

import functools
import time

monotonic = functools.partial(time.monotonic)
sleep = time.sleep
