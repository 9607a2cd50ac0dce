"""An app of four processes, each of which logs an error about once a second until SIGTERM, and then how many it logged.

The webhook is in DISCORD_WEBHOOK_URL, and the Redis that all hosts share in DISCORD_BACKLOG. The channel is on another
machine, without TLS, which DISCORD_ALLOW_HTTP allows.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import signal
import socket
from typing import TYPE_CHECKING

from discord_logging import DiscordHandler

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

WORKERS = 4
PAUSE = 1.0  # seconds
ENDS = {signal.SIGTERM, signal.SIGINT}


def work(worker: int, reader: Connection, writer: Connection) -> None:
    """Log until the main process ends or closes the pipe, and deliver what is left."""
    writer.close()
    # If a host that posts is cut off, the others wait for `timeout`.
    logging.getLogger().addHandler(DiscordHandler(timeout=2))
    logger, host, number = logging.getLogger("shop"), socket.gethostname(), 0
    while not reader.poll(random.uniform(0, 2 * PAUSE)):  # noqa: S311 - it is no secret
        number += 1
        logger.error("Order %d of worker %d on %s was not paid", number, worker, host)
    logger.error("Worker %d on %s ends after %d orders", worker, host, number)
    logging.shutdown()  # `multiprocessing` does not do it


def main() -> None:
    """Start the workers, and end them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    fork = multiprocessing.get_context("fork")
    reader, writer = fork.Pipe(duplex=False)
    workers = [fork.Process(target=work, args=(worker, reader, writer)) for worker in range(WORKERS)]
    for process in workers:
        process.start()
    signal.sigwait(ENDS)
    writer.close()
    for process in workers:
        process.join()


if __name__ == "__main__":
    main()
