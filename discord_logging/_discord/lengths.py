"""Every number that Discord sets for a message stands here once.

Lengths are in code points, as Python's `len()` counts them, and inclusive.
Source: https://docs.discord.com/developers/resources/message#embed-object-embed-limits and
https://docs.discord.com/developers/resources/webhook#execute-webhook.
"""

from __future__ import annotations

EMBEDS_PER_MESSAGE = 10
EMBEDS_TOTAL = 6000
"""The sum of title, description, field names and values, footer and author over all embeds of a message."""

TITLE = 256
DESCRIPTION = 4096
FIELDS = 25
FIELD_NAME = 256
FIELD_VALUE = 1024
FOOTER = 2048
AUTHOR = 256

CONTENT = 2000
USERNAME = 80
THREAD_NAME = 100
TAGS = 5
URL = 2048
COLOR = 0xFFFFFF
SUPPRESS_NOTIFICATIONS = 1 << 12
"""The flag of a message that notifies nobody
(https://docs.discord.com/developers/resources/message#message-object-message-flags)."""

FILE_BYTES = 8_000_000
"""The most bytes that we attach to a message. Discord accepts 10 MiB for each file
(https://docs.discord.com/developers/reference#uploading-files); we stay below, so that less is copied at a time."""

ATTACHMENTS = 9
"""The largest number of files of a program in a message. Discord takes ten, of which one may be ours."""
ATTACHMENTS_BYTES = 16_000_000
"""The most bytes of these files. Discord takes a request of 25 MiB, and our own file has up to `FILE_BYTES`."""
