"""The words of `DiscordHandler.health`, whose documentation says what they mean."""

from __future__ import annotations

from typing import Literal

Status = Literal["ok", "limited", "retrying", "blocked", "stopped", "disabled", "closed"]
"""The state of a handler's webhook."""

DropReason = Literal[
    "queue_full",
    "closed",
    "internal_error",
    "interrupted",
    "process_ended",
    "webhook_gone",
    "rejected",
    "unreadable",
    "too_old",
    "damaged",
    "crashed_sender",
]
"""Why a record was dropped."""
