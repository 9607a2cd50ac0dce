"""This package knows Discord: its types, lengths and rate limits, and the way that a message takes to it.

`_records` and every layer above may import this package. It imports the errors and the layers below them, and knows no
log record.
"""
