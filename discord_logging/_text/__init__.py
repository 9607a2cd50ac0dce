"""Text as Discord shows it: cleaned, escaped, fenced, cut and split.

The errors and every layer above may import it. It imports nothing of ours.
"""
