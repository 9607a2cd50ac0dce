"""What was logged, frozen on the caller's thread: records, values, masking, and the settings that go with a record.

`_cards`, `_backlogs`, `_delivery` and every layer above may import it. It imports `_discord` and what is below.
"""
