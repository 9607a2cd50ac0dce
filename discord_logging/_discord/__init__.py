"""What Discord says, and how it is reached: its types, lengths and rate limits, and the way out of a message.

The packages for records, cards, backlogs and delivery may import this one. It knows no log record.
"""
