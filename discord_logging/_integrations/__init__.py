"""The shared code of the integrations with frameworks: handlers, requests, tasks, and workers of servers.

The public modules for frameworks, such as `discord_logging.flask`, may import this package, which imports no framework.
"""
