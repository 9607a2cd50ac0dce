"""The version of the package.

The User-Agent of every request names it. Asking the metadata of the installed package would import modules on the
listener's thread, and a child that is forked meanwhile would wait for such an import for ever.
"""

__version__ = "0.1.0"
