"""The intent of a change that takes several steps: durable before the first of them, gone after the last."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from holdfast.worlds.directory.folders import read_file, replace_file
from holdfast.worlds.directory.paths import check_path
from holdfast.worlds.directory.records import Entry
from holdfast.worlds.errors import InvalidView

_NAME = "intent"
_VERSION = 1


class Intent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be at each path in the end; ``None`` is nothing.

    It says where to, and not by which steps: whoever finishes it looks at what is there and does the rest.
    """

    version: int
    target: dict[str, Entry | None]


class Journal:
    """The intent of one account and region, in its private folder.

    Args:
        private: descriptor of the folder.
    """

    name = _NAME

    def __init__(self, private: int) -> None:
        self._private = private

    def read(self) -> dict[str, Entry | None] | None:
        """The target of a change that was cut off, if one was.

        Raises:
            InvalidView: the file is damaged.
            InvalidPath: it was edited, and names what it must not.
        """
        text = read_file(self._private, _NAME)
        if text is None:
            return None
        try:
            intent = msgspec.json.decode(text, type=Intent)
        except msgspec.MsgspecError as error:
            raise InvalidView("directory", "$", f"the intent of a change is damaged ({error})") from error
        if intent.version != _VERSION:
            raise InvalidView("directory", "$.version", f"the intent of a change has version {intent.version}")
        for path in intent.target:
            check_path(path)
        return intent.target

    def write(self, target: Mapping[str, Entry | None]) -> None:
        """Make the intent durable, in place of any other."""
        replace_file(self._private, _NAME, msgspec.json.encode(Intent(_VERSION, dict(target))), durable=True)

    def clear(self) -> None:
        """Take the intent away, durably: one that came back would undo what is done later."""
        try:
            os.unlink(_NAME, dir_fd=self._private)
        except FileNotFoundError:
            return
        os.fsync(self._private)
