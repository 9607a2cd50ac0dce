"""The command line: `discord-logging`."""

from __future__ import annotations

import argparse
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from discord_logging._demo import run_demo
from discord_logging._exceptions import DiscordLoggingError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    It is 0 when it did what it was asked, 1 when not, 2 for wrong usage, and 130 after Ctrl-C.

    Args:
        arguments: The words after the program's name; `None` takes those of this process.
    """
    options = _build_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (DiscordLoggingError, ImportError, OSError, ValueError) as error:
        # dictConfig wraps what went wrong in words of its own.
        cause = error.__cause__ if isinstance(error.__cause__, DiscordLoggingError) else error
        sys.stderr.write(f"discord-logging: {cause}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="discord-logging", description="Log records as cards in a Discord channel.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="log real records and show what arrives in a local Discord")
    demo.add_argument("--webhook-url", help="post to this webhook instead, or - to read its URL from standard input")
    demo.add_argument("--port", type=int, default=0, help="the port of the local Discord (default: any free one)")
    demo.add_argument(
        "--keep-open",
        action=argparse.BooleanOptionalAction,
        default=sys.stdin is not None and sys.stdin.isatty(),
        help="go on showing the channel until Ctrl-C (default: when run in a terminal)",
    )
    demo.set_defaults(run=_run_demo)

    sandbox = commands.add_parser("sandbox", help="run a local Discord to develop with")
    sandbox.add_argument("--port", type=int, default=8065, help="its port (default: %(default)s)")
    sandbox.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where it listens (default: %(default)s); any other than loopback lets others read the channel and post",
    )
    sandbox.add_argument(
        "--keep", metavar="FILE", help="keep webhook and channel in this SQLite file, to be there again (default: none)"
    )
    sandbox.set_defaults(run=_run_sandbox)
    return parser


def _run_demo(options: argparse.Namespace) -> int:
    webhook_url = options.webhook_url
    if webhook_url:
        return run_demo(sys.stdin.readline() if webhook_url == "-" else webhook_url)
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415 - needs the extra

    with LocalDiscord(port=options.port) as discord:
        sys.stdout.write(f"A local Discord is at {discord.url}\n")
        exit_code = run_demo(discord.webhook_url, discord)
        if options.keep_open:
            sys.stdout.write(f"Look at the channel: {discord.url} (Ctrl-C ends)\n")
            _wait_for_interrupt()
        return exit_code


def _run_sandbox(options: argparse.Namespace) -> NoReturn:
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415 - needs the extra

    with LocalDiscord(host=options.host, port=options.port, keep=options.keep, public=True) as discord:
        sys.stdout.write(
            f"The channel: {discord.url}\n\nexport DISCORD_WEBHOOK_URL={discord.webhook_url}\n\nCtrl-C ends.\n"
        )
        _wait_for_interrupt()


def _wait_for_interrupt() -> NoReturn:
    sys.stdout.flush()
    while True:
        threading.Event().wait()
