"""The benchmark of services with many processes counts what arrives from workers, also from killed ones."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from discord_logging.sandbox import LocalDiscord

BENCHMARKS = Path(__file__).parent / "benchmarks"

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the benchmark needs a POSIX system"),
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return a function that returns a module of the benchmarks."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def backlog(module: Callable[[str], Any]) -> Iterator[Path]:
    """Return a new directory for the backlog of a scenario."""
    with module("_services").backlog() as settings:
        yield Path(settings["backlog"])


@pytest.fixture
def post(discord: LocalDiscord) -> Callable[..., None]:
    """Return a function that posts a message with an embed, and with a file if its text is given."""

    def send(text: str, file: str | None = None, footer: str = "") -> None:
        payload = {"embeds": [{"description": text, "footer": {"text": footer}}]}
        if file is None:
            answer = requests.post(discord.webhook_url, json=payload, timeout=20)
        else:
            files = {"files[0]": ("records.log", file), "payload_json": (None, json.dumps(payload))}
            answer = requests.post(discord.webhook_url, files=files, timeout=20)
        assert answer.ok, answer.text

    return send


def test_records_are_found_in_cards_and_in_files(
    discord: LocalDiscord, post: Callable[..., None], module: Callable[[str], Any]
) -> None:
    """A token that a message has in its card and in its file is one record."""
    token, arrivals = module("_worker").token, module("_arrivals")
    post(f"**{token(0, 1)}** order", "\n".join(f"12:00:00 {token(0, number)} order" for number in range(1, 4)))
    post(f"```ansi\n{token(1, 1)} order\n{token(1, 2)} order\n```")
    assert arrivals.count(discord, [token(0, 1), token(0, 3), token(1, 2), token(1, 3)]) == arrivals.Tally(
        accepted=4, delivered=3, requests=2, messages=2
    )


def test_records_in_two_messages_are_doubled_and_may_be_marked(
    discord: LocalDiscord, post: Callable[..., None], module: Callable[[str], Any]
) -> None:
    """The mark counts in a later message alone, for the first one is no repeat of it."""
    token, arrivals = module("_worker").token, module("_arrivals")
    post(token(0, 1), footer="may be a repeat")
    post(f"{token(0, 1)} {token(0, 2)}")
    post(token(0, 3), f"{token(0, 2)}", footer="shop · may be a repeat")
    tally = arrivals.count(discord, [token(0, 1), token(0, 2), token(0, 3)])
    assert (tally.delivered, tally.lost, tally.doubled, tally.marked) == (3, 0, 2, 1)


def test_the_last_arrival_is_that_of_the_first_message_of_a_record(
    discord: LocalDiscord, post: Callable[..., None], module: Callable[[str], Any]
) -> None:
    """A repeat of a record, and a record that was not accepted, do not make the others late."""
    token, arrivals = module("_worker").token, module("_arrivals")
    for name in (token(0, 1), token(0, 2), token(0, 1), token(0, 3)):
        post(name)
    _, second, *_ = messages = discord.messages
    assert arrivals.last_arrival(messages, {token(0, 1): 0.0, token(0, 2): 0.0}) == second.timestamp.timestamp()
    assert arrivals.last_arrival(messages, {token(7, 7): 0.0}) is None


def test_429s_after_a_moment_are_counted(
    discord: LocalDiscord, post: Callable[..., None], module: Callable[[str], Any]
) -> None:
    """A request that came before it does not count."""
    arrivals = module("_arrivals")
    for _ in range(5):
        post("order")
    refused = [requests.post(discord.webhook_url, json={"content": "order"}, timeout=20).status_code for _ in range(2)]
    assert refused == [429, 429]
    *_, before, _ = discord.requests
    assert (arrivals.count_rate_limited(discord), arrivals.count_rate_limited(discord, before.time)) == (2, 1)


def test_workers_have_the_settings_and_their_errors_are_told(
    discord: LocalDiscord, module: Callable[[str], Any]
) -> None:
    """A worker that could not make its handler ends the scenario, with the reason."""
    load = module("_worker").Load(1)
    with (
        module("_crew").Crew(discord.webhook_url, {"queue_sise": 10}) as crew,
        pytest.raises(RuntimeError, match=r"worker 0 failed: .*queue_sise"),
    ):
        crew.run(load)


@pytest.mark.parametrize("prefork", [False, True], ids=["alone", "prefork"])
def test_no_worker_outlives_its_crew(discord: LocalDiscord, module: Callable[[str], Any], prefork: bool) -> None:
    """A worker that nobody told to begin waits for ever."""
    with module("_crew").Crew(discord.webhook_url, {}, prefork=prefork) as crew:
        (worker,) = crew.start(module("_worker").Load(1))
        assert not worker.has_ended()
    assert module("_crew").wait_until(worker.has_ended, 20)


def test_a_worker_notes_what_it_did(discord: LocalDiscord, module: Callable[[str], Any]) -> None:
    """The notes have the time of each accepted record, and the end of the flush."""
    began = time.time()
    with module("_crew").Crew(discord.webhook_url, {}) as crew:
        (worker,) = crew.run(module("_worker").Load(3, 100.0))
        assert list(worker.accepted) == [module("_worker").token(0, number) for number in range(3)]
        assert all(began < at < time.time() for at in worker.accepted.values())
        assert worker.flush[0] is True
        assert 0 < worker.flush[1] < 40


@pytest.mark.parametrize("prefork", [False, True], ids=["alone", "prefork"])
def test_all_records_of_workers_arrive(module: Callable[[str], Any], prefork: bool) -> None:
    """Workers that log, flush and end lose nothing, also if their handler was made before they were forked."""
    result = module("_shared").burst(2, 20, prefork=prefork)
    assert (result.tally.accepted, result.tally.delivered, result.tally.doubled) == (40, 40, 0)
    assert [is_done for is_done, _ in result.flushes] == [True] * result.flushers == [True, True]


@pytest.mark.skipif("REQUIRE_REDIS" not in os.environ and not shutil.which("redis-server"), reason="there is no Redis")
def test_all_records_of_workers_arrive_through_a_redis(module: Callable[[str], Any]) -> None:
    """The Redis is started for the scenario alone, and ends with it."""
    with module("_services").redis() as settings:
        result = module("_shared").burst(2, 20, **settings)
    assert (result.tally.accepted, result.tally.delivered, result.tally.doubled) == (40, 40, 0)
    assert not Path(settings["backlog"].removeprefix("unix://")).exists()


def test_the_sum_of_tallies_is_that_of_all_records(module: Callable[[str], Any]) -> None:
    """Rounds of the kill test are added up, and the longest wait counts."""
    tally, killed = module("_arrivals").Tally, module("_kill").Killed
    both = killed(tally(accepted=5, delivered=3), 1, 0.5) + killed(tally(accepted=2, delivered=2, doubled=1), 2, 0.25)
    assert both == killed(tally(accepted=7, delivered=5, doubled=1), 3, 0.5)
    assert both.tally.lost == 2


def test_records_that_wait_in_memory_are_lost_with_their_worker(module: Callable[[str], Any]) -> None:
    """The kill test counts each record whose logging call has returned."""
    result = module("_kill").waiting(rounds=1, records=20)
    assert (result.tally.accepted, result.tally.lost) == (20, 20)


def test_a_worker_is_killed_while_it_posts(module: Callable[[str], Any]) -> None:
    """Discord saves the message of the second round alone, though neither worker learns of it."""
    first, second = (module("_kill").posting(rounds=rounds, records=20).tally for rounds in (1, 2))
    assert first.delivered == 0
    assert 0 < second.delivered <= 20


@pytest.mark.parametrize("prefork", [False, True], ids=["alone", "prefork"])
def test_workers_with_a_backlog_share_the_limits(module: Callable[[str], Any], backlog: Path, prefork: bool) -> None:
    """All records arrive once, no request is refused, and each flush waits for the records of its worker."""
    result = module("_shared").burst(3, 20, prefork=prefork, backlog=str(backlog))
    tally = result.tally
    assert (tally.accepted, tally.delivered, tally.doubled, tally.rate_limited) == (60, 60, 0, 0)
    assert [is_done for is_done, _ in result.flushes] == [True] * result.flushers == [True] * 3


def test_records_in_a_backlog_outlive_their_worker(module: Callable[[str], Any], backlog: Path) -> None:
    """The next worker delivers what waited, with no 429."""
    result = module("_kill").waiting(rounds=1, records=20, backlog=str(backlog))
    tally = result.tally
    assert (tally.accepted, tally.lost, tally.doubled, tally.rate_limited) == (20, 0, 0, 0)


def test_a_message_in_flight_is_sent_again_with_a_mark(module: Callable[[str], Any], backlog: Path) -> None:
    """Discord has saved the message of the second of two rounds, which thus comes twice; nothing else does."""
    tally = module("_kill").posting(rounds=2, records=20, backlog=str(backlog)).tally
    assert (tally.lost, tally.rate_limited) == (0, 0)
    # A round has 20 records at most.
    assert 0 < tally.doubled <= 20
    assert tally.marked == tally.doubled


def test_each_scenario_with_a_backlog_has_a_new_directory(module: Callable[[str], Any]) -> None:
    """The directory is empty at first, and removed at the end."""
    services = module("_services")
    with services.backlog() as one, services.backlog() as other:
        directories = [Path(settings["backlog"]) for settings in (one, other)]
        assert directories[0] != directories[1]
        assert [list(directory.iterdir()) for directory in directories] == [[], []]
        (directories[0] / "records").touch()
    assert not any(directory.exists() for directory in directories)


@pytest.mark.timeout(150)
def test_quick_run_prints_a_row_for_each_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output has the figures of all scenarios, with any value."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    command = [sys.executable, str(BENCHMARKS), "--quick", "--only", "shared"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=140, check=False)
    assert run.returncode == 0, run.stderr
    assert "| figure | memory | backlog | bar |" in run.stdout
    rows = re.findall(r"^\| ([^|]+?): [^|]+ \| ([^|]+) \| ([^|]+) \| [^|]* \|$", run.stdout, re.MULTILINE)
    assert list(dict.fromkeys(name for name, *_ in rows)) == [
        "2 workers, steady 1/s, 4 s",
        "3 workers, steady 1.5/s, 4 s",
        "3 workers, steady 1.5/s, 4 s, prefork",
        "2 workers, 20 at once",
        "3 workers, 20 at once",
        "3 workers, 20 at once, prefork",
        "3 workers, the same 6 times",
        "3 workers, a third killed and replaced",
        "3 workers, all restarted",
        "1 killed, while all wait",
        "1 killed, at random, 800/s",
        "1 killed, while it posts",
        "1 killed, Discord down",
        "1 killed, at random, 20 frames",
        "1 killed, as fast as it can",
        "1 killed, another worker goes on",
    ]
    figures = [each for _, *columns in rows for each in columns]
    assert all(re.fullmatch(r"[\d,./ of]+", each) for each in figures), run.stdout + run.stderr
