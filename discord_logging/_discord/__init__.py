"""What Discord says, and how it is reached: its types, lengths and rate limits, and the way out of a message.

`_records` and every layer above may import it. It imports the errors and what is below, and knows no log record.
"""
