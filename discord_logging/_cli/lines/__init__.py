"""Reading log lines that other programs wrote, for `discord-logging pipe`."""
