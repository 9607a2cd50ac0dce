"""When messages leave, what they carry, and what becomes of them: the listener's thread and what it does.

The modules behind the public names may import this one.
"""
