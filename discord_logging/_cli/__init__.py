"""The command `discord-logging`, a module for each of its commands.

Nothing but `__main__` imports it.
"""
