"""Where records wait until they are delivered: a file for each store, and what all of them need.

`_delivery` and every layer above may import it. It imports `_records` and what is below.
"""
