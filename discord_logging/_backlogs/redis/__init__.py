"""This package keeps a durable backlog in Redis: the address, the connection, the scripts and the lease of the sender.

Only `_backlogs.redis_store` and `_delivery.registry` may import this package.
"""
