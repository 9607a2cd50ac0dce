"""This package finds passwords and tokens in texts and values, and masks them.

`SecretMasker` is the entrance. The shapes, words and options that it knows are tables: `names`, `harmless`,
`token_shapes` and `commands`. The package may import how a process is lived in, and text. The records and every layer
above may import it.
"""
