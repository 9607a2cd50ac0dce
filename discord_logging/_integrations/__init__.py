"""The shared code of the integrations with frameworks: fields of a request, and workers of a server.

The public modules for frameworks, such as `discord_logging.flask`, may import this package, which imports no framework.
"""
