"""This package keeps a durable backlog in a file of SQLite: the folder, its locks, the database and its repair.

Only `_backlogs.sqlite_store` may import this package.
"""
