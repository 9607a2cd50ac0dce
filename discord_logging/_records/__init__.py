"""This package freezes log records on the caller's thread: their values, masking, and the settings of their handlers.

`_cards`, `_backlogs`, `_delivery` and every layer above may import this package. It imports `_discord` and the layers
below.
"""
