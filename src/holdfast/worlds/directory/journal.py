"""The intent of a change that takes several steps: durable before the first of them, gone after the last."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from holdfast.worlds.directory.folders import read_file, replace_file
from holdfast.worlds.directory.paths import check_entry, check_path
from holdfast.worlds.directory.records import Entry, File, Folder
from holdfast.worlds.errors import InvalidView

_NAME = "intent"
_VERSION = 1


class Intent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be at each path in the end, and what was there in the beginning; ``None`` is nothing.

    It says where to, and not by which steps: whoever finishes it looks at what is there and does the rest.
    """

    before: dict[str, Entry | None]
    target: dict[str, Entry | None]
    version: int = _VERSION

    def strange(self, present: Mapping[str, Entry]) -> set[str]:
        """Paths of what is neither the one nor the other. No step of the change leads there: it is somebody else's."""
        return {path for path, entry in present.items() if not self._is_ours(path, entry)}

    def _is_ours(self, path: str, entry: Entry) -> bool:
        return any(_alike(entry, states.get(path)) for states in (self.before, self.target))


class Journal:
    """The intent of one account and region, in its private folder.

    Args:
        private: descriptor of the folder.
    """

    name = _NAME

    def __init__(self, private: int) -> None:
        self._private = private

    def read(self) -> Intent | None:
        """A change that was cut off, if one was.

        Raises:
            InvalidView: the file is damaged, or was edited and names what it must not.
            InvalidPath: it names a path that it must not.
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
        for path, entry in (*intent.before.items(), *intent.target.items()):
            check_path(path)
            if entry is not None:
                check_entry("directory", path, entry)
        return intent

    def write(self, intent: Intent) -> None:
        """Make the intent durable, in place of any other."""
        replace_file(self._private, _NAME, msgspec.json.encode(intent), durable=True)

    def clear(self) -> None:
        """Take the intent away, durably: one that came back would undo what is done later."""
        try:
            os.unlink(_NAME, dir_fd=self._private)
        except FileNotFoundError:
            return
        os.fsync(self._private)


def _alike(entry: Entry, other: Entry | None) -> bool:
    """Whether they hold the same; modes are changed on the way."""
    if isinstance(entry, File):
        return isinstance(other, File) and entry.blobs == other.blobs
    return isinstance(other, Folder) if isinstance(entry, Folder) else entry == other
