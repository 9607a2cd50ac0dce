"""This package lives in somebody else's process: it has clocks, locks, the GIL, and messages to the program around us.

Every package but the local Discord may import this package. It imports nothing of ours, and knows neither records nor
Discord.
"""
