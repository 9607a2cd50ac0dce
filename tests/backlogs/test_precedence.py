"""Of two versions of the package, the newer one sends, if it does so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discord_logging._backlogs import workers
from discord_logging._backlogs.precedence import Precedence
from discord_logging._backlogs.store import Summary
from discord_logging._backlogs.workers import read_version
from tests.backlogs.conftest import Disk, Process

if TYPE_CHECKING:
    from tests.backlogs.conftest import Clock

NEWER = (*workers.VERSION, 1)
OTHER = ("web-2", 7)


def summary(newest: tuple[int, ...] = NEWER, sender: tuple[str, int] | None = None) -> Summary:
    """Return the state of an empty store."""
    return Summary(waiting=0, oldest=None, workers=2, sender=sender, delivered=0, newest=newest)


@pytest.mark.parametrize(
    ("lower", "higher"), [("0.9.9", "0.10.0"), ("1", "1.0.1"), ("", "0"), ("1.4.0", "2.0rc1"), ("3.9", "99999999999")]
)
def test_versions_compare_by_their_numbers(lower: str, higher: str) -> None:
    """The text of another version may be anything."""
    assert read_version(lower) < read_version(higher)


@pytest.mark.parametrize("newest", [(), (0,), workers.VERSION])
@pytest.mark.parametrize("leads", [True, False])
def test_the_newest_version_gives_way_to_nobody(newest: tuple[int, ...], leads: bool) -> None:
    """Whoever leads goes on."""
    assert not Precedence().is_due_to_others(summary(newest, OTHER), leads=leads)


def test_a_process_that_leads_gives_way_to_a_newer_one_at_once() -> None:
    """The newer one has stored its first record."""
    precedence = Precedence()
    assert not precedence.is_due_to_others(summary(()), leads=True)
    assert precedence.is_due_to_others(summary(), leads=True)


def test_an_older_version_leads_if_no_newer_one_does(clock: Clock) -> None:
    """After a while, and for a while: the newer one is gone, or has no valid URL."""
    precedence = Precedence()
    clock.now += 100.0
    assert precedence.is_due_to_others(summary(sender=OTHER), leads=False)
    clock.now += 4.0
    assert precedence.is_due_to_others(summary(), leads=False)
    clock.now += 2.0
    assert not precedence.is_due_to_others(summary(), leads=False)
    clock.now += 59.0
    assert not precedence.is_due_to_others(summary(sender=OTHER), leads=True)
    clock.now += 2.0
    assert precedence.is_due_to_others(summary(sender=OTHER), leads=True)


def test_the_lead_passes_on_without_a_record_lost_or_doubled(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message in flight comes first."""
    disk = Disk()
    older, newer = Process(disk), Process(disk)
    older.log("in flight")
    older.step()
    (entry,) = older.backlog.lease()
    older.log("waiting")
    disk.newest = NEWER
    clock.now += 2.0
    older.step()
    assert disk.leader is older
    older.backlog.ack([entry])
    older.step()
    assert disk.leader is None
    monkeypatch.setattr("discord_logging._backlogs.precedence.VERSION", NEWER)
    newer.step()
    assert [newer.deliver(), older.deliver()] == [["waiting"], []]
    assert disk.leader is newer
