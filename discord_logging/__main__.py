"""`python -m discord_logging` is the same as `discord-logging`."""

from __future__ import annotations

import sys

from discord_logging._cli.main import main

sys.exit(main())
