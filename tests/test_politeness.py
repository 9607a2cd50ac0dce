"""Long work lets other threads run."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from discord_logging._politeness import politely

if TYPE_CHECKING:
    from collections.abc import Iterator


def work(until: threading.Event) -> Iterator[float]:
    """Work in portions that are longer than the pauses are apart, without end or until it is too late."""
    give_up_at = time.monotonic() + 20
    while not until.is_set() and time.monotonic() < give_up_at:
        done_at = time.perf_counter() + 0.0003
        while time.perf_counter() < done_at:
            pass
        yield done_at


def test_all_items_come_in_order() -> None:
    """Whatever they are."""
    assert list(politely(range(1_000))) == list(range(1_000))


def test_a_thread_that_comes_back_from_io_gets_its_turn() -> None:
    """Two hundred times, while another works without end.

    With pauses of zero seconds Python 3.10 let it wait for seconds each time, for it takes the lock back at once.
    """
    is_over = threading.Event()
    worker = threading.Thread(target=lambda: all(politely(work(is_over))))
    worker.start()
    try:
        late = []
        for _ in range(200):
            began = time.perf_counter()
            time.sleep(0.001)
            late.append(time.perf_counter() - began - 0.001)
    finally:
        is_over.set()
        worker.join(30)
    # Without pauses each would take the 5 ms after which the interpreter makes a thread give up the lock.
    assert sorted(late)[100] < 0.004
