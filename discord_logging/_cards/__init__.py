"""This package composes messages for Discord from frozen records, without a clock or a network.

`_delivery` and every layer above may import this package. It imports `_records` and the layers below.
"""
