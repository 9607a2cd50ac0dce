"""When messages leave, what they carry, and what becomes of them: the pair of queue handler and listener.

The modules behind the public names, `_integrations` and `_cli` may import it. It imports all packages below.
"""
