"""This package keeps records until they are delivered: a file for each store, and the parts that all stores need.

`_delivery` and every layer above may import this package. It imports `_records` and the layers below.
"""
