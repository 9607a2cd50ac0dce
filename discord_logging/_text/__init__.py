"""This package turns text into the form that Discord shows: cleaned, escaped, fenced, cut and split.

The errors and every layer above may import this package. It imports `_process`.
"""
