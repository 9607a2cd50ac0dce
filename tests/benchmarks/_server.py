"""The process of the server: `python _server.py OPTIONS`.

The process prints the URL of its webhook. For each line on its standard input it prints a report of the messages and
requests so far. It ends when standard input is closed.
"""

from __future__ import annotations

import json
import re
import socketserver
import sys
import threading
from typing import Any

from discord_logging.sandbox import Fault, LocalDiscord

_ID = re.compile(r"rec(\d{6})")
_PACED = re.compile(r"rec([A-Z]\d{6,})")
_REPEATED = re.compile(r"no stock in warehouse 7")
_TIMES = re.compile(r"\u00d7\s?([\d,]+)")


def count_repeats(text: str) -> int:
    """Return how many equal records a text stands for, which shows them with a count or one after the other."""
    counts = [int(number.replace(",", "")) for number in _TIMES.findall(text)]
    return max([*counts, len(_REPEATED.findall(text))])


def summarize(discord: LocalDiscord) -> dict[str, Any]:
    """Return a report of all messages and requests, as plain data."""
    requests = discord.requests
    messages = discord.messages
    texts = [
        "\n".join([json.dumps(message.payload, ensure_ascii=False), *(file.text for file in message.files)])
        for message in messages
    ]
    statuses = [request.status or 0 for request in requests]
    posted = [request.time for request, status in zip(requests, statuses, strict=True) if 200 <= status < 300]
    came_by_id: dict[str, float] = {}
    # In a very long run the local Discord removes messages and requests, and not the same number of both.
    for text, at in zip(texts, posted, strict=True) if len(texts) == len(posted) else ():
        for name in _PACED.findall(text):
            came_by_id.setdefault(name, at)
    return {
        "delivered": len({number for text in texts for number in _ID.findall(text)}),
        "repeats": sum(map(count_repeats, texts)),
        "messages": len(messages),
        "text": sum(map(len, texts)),
        "requests": len(requests),
        "rate_limited": statuses.count(429),
        "refused": sum(status >= 400 for status in statuses) - statuses.count(429),
        "posted": posted,
        "came_by_id": came_by_id,
        "refusals": [request.finished for request in requests if request.status == 429],
        "came": [request.time for request in requests],
    }


class _Blind(socketserver.StreamRequestHandler):
    """Answers every request at once without reading it, so that listeners never wait for a response."""

    def handle(self) -> None:
        length = 0
        for line in self.rfile:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            elif not line.strip():
                self.rfile.read(length)
                self.wfile.write(b"HTTP/1.1 204 No Content\r\nVia: 1.1 google\r\n\r\n")


def serve_blindly() -> None:
    """Serve with `_Blind` until standard input is closed."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Blind) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print_line(f"http://127.0.0.1:{server.server_address[1]}/api/v10/webhooks/{'1' * 18}/{'t' * 68}")
        for _ in sys.stdin:
            print_line("{}")
        server.shutdown()


def print_line(line: str) -> None:
    """Print a line, and flush it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until standard input is closed."""
    options = json.loads(sys.argv[1])
    if options.pop("blind", False):
        serve_blindly()
        return
    retry_after = options.pop("retry_after", None)
    with LocalDiscord(**options) as discord:
        if retry_after is not None:
            discord.fail_next(Fault.rate_limited(retry_after))
        print_line(discord.webhook_url)
        for _ in sys.stdin:
            print_line(json.dumps(summarize(discord)))


if __name__ == "__main__":
    main()
