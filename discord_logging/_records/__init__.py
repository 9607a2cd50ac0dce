"""What was logged, frozen on the caller's thread: records, values, masking, and the settings that go with a record.

The packages for cards, backlogs and delivery may import this one.
"""
