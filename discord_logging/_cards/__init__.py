"""Records made into one message: from frozen records to what Discord shows, without a clock or a network.

`_delivery` and every layer above may import it. It imports `_records` and what is below.
"""
