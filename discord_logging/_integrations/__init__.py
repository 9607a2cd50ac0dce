"""What the integrations with frameworks share: the fields of a request, and the process among a server's workers.

The public modules for frameworks, such as `discord_logging.flask`, may import it. It imports no framework.
"""
