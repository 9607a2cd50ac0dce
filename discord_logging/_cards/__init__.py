"""Records made into one message: pure functions from frozen records to what Discord shows.

The package for delivery may import this one, and the modules behind the public names.
"""
