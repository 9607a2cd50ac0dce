"""The module `sqlite3`, or `None` where Python was built without it."""

try:
    import sqlite3
except ImportError:
    sqlite3 = None  # type: ignore[assignment]  # `open_database` is the first to use the module, and says so

__all__ = ["sqlite3"]
