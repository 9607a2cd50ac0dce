"""Use apprise, which reads no messages. The arguments are the URLs of the webhooks of a text channel and a forum."""

from __future__ import annotations

import json
import sys

from apprise import Apprise
from apprise.attachment.memory import AttachMemory
from apprise.plugins.discord import NotifyDiscord

url, _ = sys.argv[1:]
webhooks, _, credentials = url.replace("/v10", "").partition("/webhooks/")  # the library names no version of the API
NotifyDiscord.notify_url = f"{webhooks}/webhooks"
for scope in ("user", "shared", "global"):
    Apprise(f"discord://{credentials}").notify(scope)
robot = Apprise(f"discord://Robot@{credentials}?format=markdown&avatar=no")
robot.notify("words", title="Title", attach=AttachMemory(content=b"words", name="log.txt"))
json.dump({}, sys.stdout)
