"""Where records wait until they are delivered: one contract, and a file for each store.

The package for delivery may import this one.
"""
