"""The accounts of a process: accepted records, and where they came to an end."""

from __future__ import annotations

from discord_logging._backlogs.accounts import Accounts
from discord_logging._backlogs.store import Tally


def test_refused_records_count_as_accepted() -> None:
    """They are dropped."""
    accounts = Accounts()
    accounts.taken = 2
    accounts.refusals.take()
    assert accounts.accepted == 3


def test_records_are_delivered_in_the_store_and_outside() -> None:
    """The store knows of those that it had."""
    accounts = Accounts()
    accounts.delivered_here = 2
    accounts.update(Tally(3, {("rejected", "INFO"): 1}), {("rejected", "INFO"): 4})
    assert accounts.delivered == 5
    assert accounts.dropped == {("rejected", "INFO"): 1}
    assert accounts.totals == {("rejected", "INFO"): 4}


def test_a_store_that_was_removed_begins_again() -> None:
    """What the old one knew stays known."""
    accounts = Accounts()
    accounts.update(Tally(3, {("rejected", "INFO"): 2, ("too_old", "INFO"): 1}), {})
    accounts.update(Tally(1, {("rejected", "INFO"): 1}), {})
    accounts.update(Tally(2, {("rejected", "INFO"): 2}), {})
    assert accounts.delivered == 4
    assert accounts.dropped == {("rejected", "INFO"): 3, ("too_old", "INFO"): 1}


def test_a_record_that_was_found_again_is_not_dropped() -> None:
    """No number is less than nothing."""
    accounts = Accounts()
    accounts.update(Tally(0, {("damaged", "?"): 2}), {})
    accounts.found_again = 1
    assert accounts.dropped == {("damaged", "?"): 1}
    accounts.found_again = 5
    assert accounts.dropped == {}
