"""This package freezes log records on the caller's thread: values, exceptions, and the settings of their handlers.

`_cards`, `_backlogs`, `_delivery` and every layer above may import this package. It imports `_masking`, `_discord` and
the layers below.
"""
