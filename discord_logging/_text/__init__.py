"""Text as Discord shows it: cleaned, escaped, fenced, cut and split.

Every package but `_process` may import this one.
"""
