"""Living in somebody else's process: clocks, locks, the GIL, and words to the program that runs us.

Every package but the local Discord may import it. It imports nothing of ours, and knows no record and no Discord.
"""
