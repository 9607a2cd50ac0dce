"""Numbers that any thread takes, each of them once."""

from __future__ import annotations

import threading

from discord_logging._backlogs.tickets import Tickets


def test_numbers_come_in_order() -> None:
    """The first one is 1, and the last one is how many were taken."""
    tickets = Tickets()
    assert tickets.taken == 0
    assert [tickets.take() for _ in range(3)] == [1, 2, 3]
    assert tickets.taken == 3


def test_threads_take_each_number_once() -> None:
    """No number is missing, either."""
    tickets = Tickets()
    taken: list[int] = []
    threads = [threading.Thread(target=lambda: taken.extend([tickets.take() for _ in range(1_000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 4_001))
