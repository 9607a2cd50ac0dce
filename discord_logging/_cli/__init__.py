"""The command `discord-logging`, a module for each of its commands. Nothing else imports this package."""
