"""The command line: `discord-logging`."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from discord_logging._cli.demo import run_demo
from discord_logging._cli.lines.formats import LEVELS
from discord_logging._cli.url import URL_HELP, find_url, find_url_text
from discord_logging._discord.webhook_url import is_loopback
from discord_logging._exceptions import DiscordLoggingError, InvalidSettingError
from discord_logging._handler import is_enabled_in_environment
from discord_logging._records.parse import parse_level
from discord_logging._text.sanitize import mask_token

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHECK_HELP = """\
Ask Discord about the webhook and report what is wrong, if anything is: the URL, the token, the network, a proxy, TLS,
a block, the clock. Nothing is posted without --post.
"""
_CHECK_EXAMPLE = """\
example:
  DISCORD_WEBHOOK_URL=https://discord.com/api/webhooks/... discord-logging check

exit codes: 0 messages can be posted; 1 they cannot; 2 missing or malformed URL, or wrong usage; 130 after Ctrl-C.
"""
_SEND_HELP = "Send one card, optionally with files, and wait until it has arrived.\n"
_SEND_EXAMPLE = """\
examples:
  discord-logging send --level error --title Backup --field host=db1 "The disk is full"
  df -h | discord-logging send --title "Disks of $(hostname)"
  discord-logging send --file report.pdf "Today's report"

exit codes: 0 delivered; 1 not delivered; 2 missing or malformed URL, unreadable file, or wrong usage; 130 after
Ctrl-C.
"""
_PIPE_HELP = """\
Post standard input to the channel, one record for each line. Levels, loggers and times are recognised in common
formats: "ERROR ...", "[error] ...", "2026-01-01 12:00:00,123 WARNING name: ...", logfmt, syslog priorities, glog,
JSON lines. Indented lines and tracebacks belong to the line above. Records that arrive faster than the channel takes
messages share a message; if even that is too slow, reading pauses.
"""
_PIPE_EXAMPLE = """\
examples:
  ./nightly.sh 2>&1 | discord-logging pipe --tee --level warning
  tail -F /var/log/app.log | discord-logging pipe --url-file /etc/discord-url

exit codes: 0 everything was delivered; 1 something was not delivered, or could not be read or passed on; 2 missing or
malformed URL, or wrong usage; 128 + n after signal n, such as 130 after Ctrl-C, or 141 if nobody reads the output of
--tee any more. After a signal, reading stops, and the lines read so far are delivered.
"""
_BACKLOG_HELP = """\
List the records that wait in the directory or the Redis of a handler with the setting `backlog`: how many, since when,
of which levels and processes, who sends them at the moment, and how many were lost. Other processes are not disturbed.
With --send, deliver what waits for one webhook, also the records of processes of this machine that were killed. If
another process sends already, the command waits for that process. What cannot be delivered in time stays where it is.
Only --send needs a webhook URL.
"""
_BACKLOG_EXAMPLE = """\
examples:
  discord-logging backlog /var/lib/shop/backlog
  discord-logging backlog /var/lib/shop/backlog --json | jq .waiting
  discord-logging backlog redis://cache.internal:6379/0
  */5 * * * * discord-logging backlog /var/lib/shop/backlog --send --url-file /etc/discord-url

exit codes: 0 the list was printed, or nothing is left after --send; 1 something is left, or the directory has no
backlog, or it cannot be read; 2 missing or malformed URL, or wrong usage; 130 after Ctrl-C.
"""


_INCIDENTS_HELP = """\
List the incidents of handlers with the settings `backlog` and `repeats="edit"`, whose live cards the next process goes
on with: how many records, since when, and the channel and the message. No webhook URL is needed.
"""
_INCIDENTS_EXAMPLE = """\
examples:
  discord-logging incidents /var/lib/shop/backlog
  discord-logging incidents redis://cache.internal:6379/0 --json

exit codes: 0 the list was printed; 1 the directory has no backlog, or it cannot be read; 2 wrong usage.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # A webhook URL that was given as an argument must not appear in a log of errors as well.
        super().error(mask_token(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    The exit code is 0 after success, 1 after a failure, 2 for wrong usage, and 130 after Ctrl-C; `--help` lists them.

    Args:
        arguments: The arguments after the program's name; `None` takes those of this process.
    """
    _open_streams()
    options = _build_parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (DiscordLoggingError, ImportError, OSError, ValueError) as error:
        # dictConfig wraps our error in one with a message of its own.
        cause = error.__cause__ if isinstance(error.__cause__, DiscordLoggingError) else error
        sys.stderr.write(f"discord-logging: {mask_token(str(cause))}\n")
        return int(getattr(options, "error_code", 1))
    except KeyboardInterrupt:
        return 130


def _open_streams() -> None:
    """Open devnull for each standard stream that is `None`, because it was closed before this process started."""
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for ever


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="discord-logging", description="Log records as cards in a Discord channel.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_send(commands)
    _add_pipe(commands)
    _add_backlog(commands)
    _add_incidents(commands)

    demo = commands.add_parser("demo", help="log real records and show what arrives in a local Discord")
    demo.add_argument("--webhook-url", help="post to this webhook instead; - reads its URL from standard input")
    demo.add_argument("--port", type=int, default=0, help="the port of the local Discord (default: any free port)")
    demo.add_argument(
        "--keep-open",
        action=argparse.BooleanOptionalAction,
        default=sys.stdin is not None and sys.stdin.isatty(),
        help="keep showing the channel until Ctrl-C (default: only in a terminal)",
    )
    demo.set_defaults(run=_run_demo)

    sandbox = commands.add_parser("sandbox", help="run a local Discord to develop with")
    sandbox.add_argument("--port", type=int, default=8065, help="the port to listen on (default: %(default)s)")
    sandbox.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address to listen on (default: %(default)s); any address but loopback lets other machines read the "
        "channel and post to it, by this machine's IP address or a name without a dot or below .local",
    )
    sandbox.add_argument(
        "--keep",
        metavar="FILE",
        help="keep the webhook and the channel in this SQLite file for the next start (default: keep nothing)",
    )
    sandbox.set_defaults(run=_run_sandbox)
    return parser


def _add_check(commands: argparse._SubParsersAction[_Parser]) -> None:
    check = _add_command(commands, "check", "ask Discord about the webhook", _CHECK_HELP, _CHECK_EXAMPLE)
    check.add_argument("--post", action="store_true", help="post a test card as well")
    check.add_argument(
        "--timeout",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="the longest wait for the response (default: %(default)g)",
    )
    check.set_defaults(run=_run_check)


def _add_send(commands: argparse._SubParsersAction[_Parser]) -> None:
    send = _add_command(commands, "send", "send one card", _SEND_HELP, _SEND_EXAMPLE)
    send.add_argument("text", nargs="*", help="the text; - reads it from standard input, which is the default")
    send.add_argument("--title", default="", help="the title of the card (default: the level)")
    send.add_argument(
        "--level", type=_level, default="INFO", help="debug, info, warning, error or critical (default: info)"
    )
    send.add_argument("--field", action="append", default=[], metavar="NAME=VALUE", help="a field; may be repeated")
    send.add_argument(
        "--file", action="append", default=[], metavar="PATH", help="a file to attach, up to 10 MB; may be repeated"
    )
    send.add_argument("--username", help="the name to post under (default: the webhook's name)")
    send.add_argument(
        "--wait", type=_seconds, default=60.0, metavar="SECONDS", help="give up after this time (default: %(default)g)"
    )
    send.set_defaults(run=_run_send)


def _add_pipe(commands: argparse._SubParsersAction[_Parser]) -> None:
    pipe = _add_command(commands, "pipe", "post standard input to the channel", _PIPE_HELP, _PIPE_EXAMPLE)
    pipe.add_argument("--level", type=_level, default="NOTSET", help="the lowest level that is sent (default: all)")
    pipe.add_argument(
        "--default-level",
        type=_level,
        default="INFO",
        metavar="LEVEL",
        help="the level of lines that have no level (default: info)",
    )
    pipe.add_argument(
        "--name", default="stdin", help="the logger name of lines that have no logger name (default: %(default)s)"
    )
    pipe.add_argument("--username", help="the name to post under (default: the webhook's name)")
    pipe.add_argument("--tee", action="store_true", help="copy all lines to standard output, unchanged")
    pipe.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show the progress on stderr (default: only if stderr is a terminal)",
    )
    pipe.add_argument(
        "--wait",
        type=_seconds,
        default=120.0,
        metavar="SECONDS",
        help="give up if no record could be delivered for this time (default: %(default)g)",
    )
    pipe.set_defaults(run=_run_pipe)


def _add_backlog(commands: argparse._SubParsersAction[_Parser]) -> None:
    summary = "list or deliver the records that wait in a directory or in Redis"
    backlog = _add_command(commands, "backlog", summary, _BACKLOG_HELP, _BACKLOG_EXAMPLE)
    _add_place(backlog)
    kind = backlog.add_mutually_exclusive_group()
    kind.add_argument("--send", action="store_true", help="deliver what waits for the webhook")
    kind.add_argument("--json", action="store_true", help="print the list as JSON")
    backlog.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="the longest wait for the delivery (default: %(default)g)",
    )
    backlog.set_defaults(run=_run_backlog)


def _add_incidents(commands: argparse._SubParsersAction[_Parser]) -> None:
    summary = "list the incidents whose live cards go on"
    incidents = _new_command(commands, "incidents", summary, _INCIDENTS_HELP, _INCIDENTS_EXAMPLE)
    _add_place(incidents)
    incidents.add_argument("--json", action="store_true", help="print the list as JSON")
    incidents.set_defaults(run=_run_incidents)


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "backlog",
        nargs="?",
        metavar="DIR",
        help="the directory, or the URL of a Redis (default: that of the variable DISCORD_BACKLOG)",
    )


def _add_command(
    commands: argparse._SubParsersAction[_Parser], name: str, summary: str, text: str, example: str
) -> argparse.ArgumentParser:
    """Return a parser with the options that all commands for a webhook share."""
    command = _new_command(commands, name, summary, f"{text}\n{URL_HELP}", example)
    command.add_argument("--url-file", metavar="PATH", help="a file with the webhook URL in its first line")
    command.add_argument(
        "--allow-http",
        action="store_true",
        default=None,
        help="allow a plain http URL to another machine, as DISCORD_ALLOW_HTTP=true in the environment does",
    )
    return command


def _new_command(
    commands: argparse._SubParsersAction[_Parser], name: str, summary: str, text: str, example: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=text,
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(error_code=2)
    return command


def _level(argument: str) -> int:
    name = argument.strip().upper()
    try:
        return LEVELS.get(name) or parse_level("the level", name, "be one such as warning or 30")
    except InvalidSettingError:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a level such as debug, info, warning or error") from None


def _seconds(argument: str) -> float:
    try:
        seconds = float(argument)
    except ValueError:
        seconds = -1.0
    if not 0.1 <= seconds <= 1e6:  # noqa: PLR2004 - a sane wait
        raise argparse.ArgumentTypeError(f"{argument!r} is not a number of seconds, at least 0.1")
    return seconds


def _run_check(options: argparse.Namespace) -> int:
    from discord_logging._cli.check import run_check  # noqa: PLC0415 - each command imports its own

    return run_check(options, find_url(options))


def _run_send(options: argparse.Namespace) -> int:
    from discord_logging._cli.send import run_send  # noqa: PLC0415 - as above

    url = find_url(options)
    if is_enabled_in_environment():
        return run_send(options, url)
    return _say_disabled()


def _run_pipe(options: argparse.Namespace) -> int:
    from discord_logging._cli.pipe import run_pipe  # noqa: PLC0415 - as above

    return run_pipe(options, find_url_text(options))


def _run_backlog(options: argparse.Namespace) -> int:
    from discord_logging._cli.backlog import run_backlog  # noqa: PLC0415 - as above

    if not options.send:
        return run_backlog(options, None)
    url = find_url(options)
    if is_enabled_in_environment():
        return run_backlog(options, url)
    return _say_disabled()


def _run_incidents(options: argparse.Namespace) -> int:
    from discord_logging._cli.incidents import run_incidents  # noqa: PLC0415 - as above

    return run_incidents(options)


def _say_disabled() -> int:
    sys.stderr.write("discord-logging: nothing sent: DISCORD_NOTIFICATIONS_ENABLED is false\n")
    return 0


def _run_demo(options: argparse.Namespace) -> int:
    webhook_url = options.webhook_url
    if webhook_url:
        return run_demo(sys.stdin.readline() if webhook_url == "-" else webhook_url)
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415 - needs the extra

    with LocalDiscord(port=options.port) as discord:
        sys.stdout.write(f"A local Discord is at {discord.url}\n")
        exit_code = run_demo(discord.webhook_url, discord)
        if options.keep_open:
            sys.stdout.write(f"Open the channel in a browser: {discord.url} (press Ctrl-C to end)\n")
            _wait_for_interrupt()
        return exit_code


def _run_sandbox(options: argparse.Namespace) -> NoReturn:
    from discord_logging.sandbox import LocalDiscord  # noqa: PLC0415 - needs the extra

    with LocalDiscord(host=options.host, port=options.port, keep=options.keep, public=True) as discord:
        sys.stdout.write(f"The channel is at {discord.url}\n\nexport DISCORD_WEBHOOK_URL={discord.webhook_url}\n")
        if not is_loopback(options.host):
            sys.stdout.write(
                "export DISCORD_ALLOW_HTTP=true\n\n"
                "The URL is plain http, which handlers refuse without the second line.\n"
            )
        sys.stdout.write("\nPress Ctrl-C to end.\n")
        _wait_for_interrupt()


def _wait_for_interrupt() -> NoReturn:
    sys.stdout.flush()
    while True:
        threading.Event().wait()
