"""This clock stands in for the module `time` where a wait has a deadline: nothing in the process moves or stops it.

The package freezegun stops `time.monotonic` wherever it finds it in a module, and in frozen time a `flush` would never
end.
"""

from __future__ import annotations

import functools
import time

monotonic = functools.partial(time.monotonic)
sleep = time.sleep
