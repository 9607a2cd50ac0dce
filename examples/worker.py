"""A worker that reports failures of its jobs, its threads and itself to the channel of DISCORD_WEBHOOK_URL."""

from __future__ import annotations

import logging
import queue
import threading

from discord_logging import DiscordHandler, capture_exceptions, flush_on_signals, log_exceptions

logger = logging.getLogger("worker")


class MailError(Exception):
    """A mail cannot be sent."""


@log_exceptions(message="A job failed", reraise=False)
def run_job(address: str) -> None:
    """Send one mail. An exception is logged, and the worker continues."""
    logger.info("Sending a mail to %s", address)
    if "@" not in address:
        raise MailError(f"{address!r} is not an address")


def work(jobs: queue.SimpleQueue[str | None]) -> None:
    """Run jobs until the queue yields `None`."""
    while (address := jobs.get()) is not None:
        run_job(address)


def watch_disk() -> None:
    """Raise an exception that nobody catches, but that is captured."""
    raise OSError(28, "No space left on device", "/var/spool/mail")


def main() -> None:
    """Run a worker with a few jobs."""
    logging.basicConfig(level="INFO", format="%(levelname)-8s %(threadName)s: %(message)s")
    logging.getLogger().addHandler(DiscordHandler(level="WARNING", context={"service": "mail worker"}))
    capture_exceptions()  # uncaught exceptions, here and in threads
    flush_on_signals()  # no record is lost by SIGTERM, which `docker stop` sends

    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    worker = threading.Thread(target=work, args=(jobs,), name="worker")
    worker.start()
    threading.Thread(target=watch_disk, name="disk watch").start()
    for job in ("ann@example.com", "bob", "cleo@example.com", "dan.example.com", None):
        jobs.put(job)
    worker.join()
    logger.warning("The worker has nothing left to do")


if __name__ == "__main__":
    main()
