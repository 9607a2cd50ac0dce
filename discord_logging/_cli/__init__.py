"""The command `discord-logging`, with one module for each subcommand.

Only `__main__` and the entry point of the script may import it.
"""
