"""Living in somebody else's process: clocks, locks, the GIL, and words to the program that runs us.

Every package may import this one. It knows neither `logging` records nor Discord.
"""
