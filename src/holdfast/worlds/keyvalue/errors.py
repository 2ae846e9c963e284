"""What can go wrong with a key-value world, each with its remedy."""

from __future__ import annotations

from typing import Any

from holdfast.errors import Conflict, InvalidInput, NotFound


class InvalidKey(InvalidInput):
    """A text that cannot be a key."""

    code = "invalid_key"
    remedy = "Use 1 to 1,024 bytes of UTF-8 without NUL."


class ValueNotFound(NotFound):
    """There is no value under that key.

    Attributes:
        key: that was asked for.
    """

    code = "value_not_found"
    remedy = "List the keys of this account and region, or give get() a default."

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no value {key!r}.")
        self.key = key


class ValueUnfit(InvalidInput):
    """A value that does not fit the declared type of its key.

    Attributes:
        key: whose value it would be.
    """

    code = "value_unfit"
    remedy = "Give it the type that this world declares for the key, or declare another."

    def __init__(self, key: str, fault: str) -> None:
        super().__init__(f"The value of {key!r} does not fit its declared type: {fault}.")
        self.key = key


class ValueChanged(Conflict):
    """A compare-and-set met another value than it expected. Nothing was changed.

    Attributes:
        key: of the value.
        expected, actual: the values; ``ABSENT`` where there is none.
    """

    code = "value_changed"
    remedy = "Read the value again and decide anew."

    def __init__(self, key: str, expected: Any, actual: Any) -> None:
        super().__init__(f"The value of {key!r} was expected to be {expected!r}, it is {actual!r}.")
        self.key = key
        self.expected = expected
        self.actual = actual
