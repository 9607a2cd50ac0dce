"""Use dhooks, which reads no messages. The arguments are the URLs of the webhooks of a text channel and a forum."""

from __future__ import annotations

import io
import json
import sys

from dhooks import Embed, File, Webhook

url, _ = sys.argv[1:]
webhook = Webhook("https://discord.com/api/webhooks/" + url.partition("/webhooks/")[2])
webhook.url = url.replace("/v10", "")  # the library names no version of the API
for scope in ("user", "shared", "global"):
    webhook.send(scope)
file = File(io.BytesIO(b"words"), "log.txt")
webhook.send("Hello", username="Robot", embed=Embed(title="Title", description="words"), file=file)
json.dump({"webhook": webhook.get_info().default_name}, sys.stdout)
