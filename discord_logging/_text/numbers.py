"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str, verb: str = "") -> str:
    """Return the number and the noun, in the singular or the plural, such as `1 record` or `2,000 records`.

    Args:
        number: The number.
        noun: The noun in the singular.
        verb: A verb of which the forms differ, as `was/were`, to follow the noun; `""` for none.
    """
    singular, _, plural = verb.partition("/")
    words = [f"{number:,}", noun if number == 1 else f"{noun}s", singular if number == 1 else plural]
    return " ".join(word for word in words if word)
