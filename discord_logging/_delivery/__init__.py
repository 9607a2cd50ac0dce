"""This package delivers records: the queue handler and the listener, and the reaction to every response of Discord.

The modules behind the public names, `_integrations` and `_cli` may import this package. It imports `_backlogs` and the
layers below.
"""
