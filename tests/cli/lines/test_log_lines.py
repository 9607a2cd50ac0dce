"""Lines that popular programs and libraries log are shown unchanged, and Discord accepts them at the first attempt."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from discord_logging import DiscordHandler

if TYPE_CHECKING:
    from discord_logging.sandbox import LocalDiscord

pytestmark = pytest.mark.once

LINES = {
    "nginx": '203.0.113.9 - - [23/Nov/2026:10:00:01 +0000] "GET /a_b/*?q=1&x[]=2 HTTP/1.1" 502 157 "-" "curl/8.5.0"',
    "nginx error": "2026/11/23 10:00:01 [error] 31#31: *7 connect() failed (111: Connection refused), client: ::1",
    "uvicorn": '127.0.0.1:51312 - "POST /orders/4711 HTTP/1.1" 422 Unprocessable Entity',
    "gunicorn": "[2026-11-23 10:00:01 +0000] [8] [CRITICAL] WORKER TIMEOUT (pid:9)",
    "django": "Not Found: /static/js/app.__init__.min.js",
    "django query": '(0.002) SELECT "shop_order"."id" FROM "shop_order" WHERE "shop_order"."id" IN (1, 2); args=(1, 2)',
    "sqlalchemy": "INSERT INTO users (name) VALUES (?) RETURNING id -- [generated in 0.00031s] ('ann_o_neill',)",
    "postgres": 'ERROR:  duplicate key value violates unique constraint "users_email_key"\nDETAIL:  Key (id)=(7).',
    "mysql": "1062 (23000): Duplicate entry '7' for key `shop`.`users`.`PRIMARY`",
    "redis": "1:M 23 Nov 2026 10:00:01.123 # WARNING Memory overcommit is off! <sysctl vm.overcommit_memory=1>",
    "kafka": "[Consumer clientId=c-1, groupId=orders__v2] Offset commit failed on partition orders-0 at offset 42",
    "celery": "Task shop.tasks.send_mail[3f1c9a52-0b1e-4b0e-9f1e-1f2e3d4c5b6a] raised unexpected: KeyError('to')",
    "boto3": "An error occurred (404) when calling the HeadObject operation: Not Found",
    "urllib3": "Retrying (Retry(total=2, connect=None)) after break by 'NewConnectionError(\"<urllib3>\")': /",
    "asyncio": "Task was destroyed but is pending!\ntask: <Task pending name='Task-7' coro=<main() running at a.py:3>>",
    "openssl": "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer (_ssl.c:1000)",
    "kubernetes": "Back-off restarting failed container app in pod shop-7d9f8b6c5-x2v4q_default(0b1e-4b0e)",
    "docker": "Error response from daemon: pull access denied for acme/shop, repository does not exist",
    "systemd": "shop.service: Main process exited, code=killed, status=9/KILL",
    "journal": "Nov 23 10:00:01 host-1 sshd[412]: Disconnected from 198.51.100.7 port 22 [preauth]",
    "kernel": "[12345.678901] Out of memory: Killed process 4711 (python3) total-vm:812344kB, anon-rss:512000kB",
    "java": 'Exception in thread "main" java.lang.NullPointerException\n\tat com.acme.Shop.<init>(Shop.java:42)',
    "node": "TypeError: Cannot read 'id' of undefined\n    at Object.<anonymous> (/srv/app.js:3:9)",
    "go": "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()",
    "rust": "thread 'main' panicked at src/main.rs:4:5:\ncalled `Option::unwrap()` on a `None` value",
    "php": "PHP Fatal error:  Uncaught Error: No method A::b() in /srv/index.php:7\nStack trace:\n#0 {main}",
    "json": '{"level":"error","ts":1764000000.123,"msg":"boom","tags":["a_b","*c*"],"nested":{"ok":false}}',
    "logfmt": 'ts=2026-11-23T10:00:01Z level=warn caller=main.go:42 msg="slow *query*" took=2.4s',
    "yaml": "services:\n  - name: shop\n    ports: ['80:8080']\n# a comment",
    "diff": "--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n-price = 1\n+price = 2",
    "markdown": "# Release\n> quoted\n- item\n1. first\n**bold** __under__ ~~gone~~ ||spoiler|| [text](target)",
    "table": "| id | name  |\n|----|-------|\n|  1 | ann_o |",
    "html": "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1><hr></body></html>",
    "windows": r"C:\Users\ann\AppData\Local\Temp\_MEI42\app.exe: \\server\share\*.log not found",
    "regex": r"pattern ^(?P<id>\d+)_\*+$ did not match 'a_b*'",
    "shell": "bash: line 1: `$(cat /tmp/*.pid)`: No such file or directory; echo $? > /dev/null 2>&1",
    "latex": r"! Undefined control sequence. l.7 \textbf {x_1^2}",
    "mentions": "@everyone @here <@123456789012345678> <@&123456789012345678> <#123456789012345678> </cmd:1> <:x:1>",
    "times": "<t:1764000000:R> at 10:00:01, 12:30:45 :tada:",
    "address": "see https://example.com/a_b_c/*?q=__x__&y=~~z~~ and mailto:ann@example.com",
    "scripts": "注文 4711 を発送できません — заказ не найден — طلب غير موجود — 🚚💨",
    "progress": " 45%|████▌     | 450/1000 [00:12<00:15, 36.6it/s]",
    "percent": "100% of 3 %s placeholders left: %d",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_is_shown_as_it_was_logged(discord: LocalDiscord, line: str) -> None:
    """The card shows the line with its Markdown escaped, or a table in a block, and notifies nobody."""
    handler = DiscordHandler(discord.webhook_url)
    handler.handle(logging.makeLogRecord({"msg": line, "name": "app", "levelno": 40, "levelname": "ERROR"}))
    assert handler.flush()
    assert [request.status for request in discord.requests] == [200]
    (message,) = discord.messages
    body = message.embeds[0]["description"].partition("\n-# ")[0]
    shown = re.sub(
        r"(https?://[^\s<>]+)|\\([^0-9A-Za-z\s])|```\n|\n```", lambda match: match[1] or match[2] or "", body
    )
    assert shown == line.strip()
    assert ("```" in body) == (line == LINES["table"])
    assert message.pings == []
