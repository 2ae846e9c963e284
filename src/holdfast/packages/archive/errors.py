"""What can be wrong with an archive: one class and one rule's name each (PK-9)."""

from __future__ import annotations

from typing import ClassVar

from holdfast.errors import HoldfastError, NotFound
from holdfast.packages.errors import InvalidPackage


class InvalidArchive(InvalidPackage):
    """An archive that is not to be used. Nothing of it was unpacked or run.

    Attributes:
        rule: the name of the rule that it breaks.
    """

    code = "invalid_archive"
    remedy = "Build it again with `holdfast package build DIR`."
    rule: ClassVar[str] = "archive"


class ArchiveTooLarge(InvalidArchive):
    """All in all, more bytes than an archive may have."""

    code = "archive_too_large"
    remedy = "Leave data and other large files out of the source: exclude = [...] in [tool.holdfast.package]."
    rule = "archive-size"


class TooManyFiles(InvalidArchive):
    """More files than an archive may have."""

    code = "archive_too_many_files"
    remedy = ArchiveTooLarge.remedy
    rule = "file-count"


class FileTooLarge(InvalidArchive):
    """A file with more bytes than one may have."""

    code = "archive_file_too_large"
    remedy = ArchiveTooLarge.remedy
    rule = "file-size"


class NotAnArchive(InvalidArchive):
    """Bytes that do not hang together as a zip: no archive, or one that was damaged or cut short."""

    code = "not_an_archive"
    rule = "zip"


class EncryptedEntry(InvalidArchive):
    """An encrypted file."""

    code = "archive_encrypted"
    rule = "encryption"


class CompressedEntry(InvalidArchive):
    """A compressed file; it was not decompressed, since it may be of any size then."""

    code = "archive_compressed"
    rule = "compression"


class NotAFile(InvalidArchive):
    """A link, a folder or a device where only files are allowed."""

    code = "archive_not_a_file"
    rule = "file-kind"


class UnsafePath(InvalidArchive):
    """A path that could lead out of the archive, or that not every system can hold."""

    code = "archive_unsafe_path"
    remedy = "Use relative paths of up to 240 printable characters, with /, without . and .., in Unicode's form NFC."
    rule = "path"


class DuplicatePath(InvalidArchive):
    """Two paths that are the same one, or would be on some file systems."""

    code = "archive_duplicate_path"
    remedy = "Rename one of them: they must differ in more than the case of their letters."
    rule = "duplicate"


class UnknownEntry(InvalidArchive):
    """A file that is neither manifest, lock, source nor wheel."""

    code = "archive_unknown_entry"
    rule = "layout"


class ManifestMissing(InvalidArchive):
    """No ``manifest.json``."""

    code = "archive_manifest_missing"
    rule = "manifest-missing"


class UnknownFormat(InvalidArchive):
    """A manifest of a format that this version of Holdfast does not know."""

    code = "archive_unknown_format"
    remedy = "Upgrade this installation, or build the package with a Holdfast of this version."
    rule = "format"


class InvalidManifest(InvalidArchive):
    """A manifest with something wrong in it.

    Attributes:
        path: where in the JSON, such as ``$.workflows[0].entry``.
        problem: what, without the path.
    """

    code = "invalid_manifest"
    rule = "manifest"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"The manifest is wrong at {path}: {problem}.")
        self.path = path
        self.problem = problem


class InvalidLock(InvalidArchive):
    """A ``pylock.toml`` that cannot be installed, or does not fit what is in the archive."""

    code = "invalid_lock"
    remedy = "Lock the dependencies again, holdfast among them; local projects go in as wheels."
    rule = "lock"


class NotCanonical(InvalidArchive):
    """Not the bytes that :func:`~holdfast.packages.archive.pack` makes of this content: a comment, extra fields, bytes
    before, between or behind the files, another order or spelling."""

    code = "archive_not_canonical"
    rule = "canonical"


class InvalidProject(InvalidPackage):
    """A project that no package can be built of.

    Attributes:
        key: what is wrong: a key such as ``tool.holdfast.package.name``, or a path.
    """

    code = "invalid_project"
    remedy = "Correct [tool.holdfast.package] in pyproject.toml, or the file that is named."

    def __init__(self, key: str, problem: str, *, remedy: str | None = None) -> None:
        super().__init__(f"{key}: {problem}.", remedy=remedy)
        self.key = key


class InvalidSource(InvalidProject):
    """Something in the source that cannot go into an archive: a link out of it, a pipe, a file that cannot be read."""

    code = "invalid_source"
    remedy = "Remove it, or name it in exclude = [...] of [tool.holdfast.package]."


class ModuleNotInSource(InvalidProject):
    """A module that the project names, and that is nowhere in its source."""

    code = "module_not_in_source"
    remedy = "Correct modules or source in [tool.holdfast.package]; names are dotted, as in an import."


class ProjectNotFound(NotFound):
    """A directory without a ``pyproject.toml``."""

    code = "project_not_found"
    remedy = "Name the directory that pyproject.toml is in."


class LockUnsatisfied(InvalidPackage):
    """The lock is sound, but names nothing that this interpreter on this machine could install."""

    code = "lock_unsatisfied"
    remedy = "Run it with a Python and on a system that the lock is for, or lock it for these, too."


class UnpackFailed(HoldfastError):
    """The files cannot be written there. What was there before is as it was, or gone; nothing is half-way."""

    code = "unpack_failed"
    remedy = "Make room, or let the process write there; then try again."


class SignatureFileInvalid(InvalidPackage):
    """A file that holds no signatures of this archive."""

    code = "package_signature_file_invalid"
    remedy = "Sign the archive again: the signatures are in the file ARCHIVE.sig beside it."


class SignatureFileMissing(NotFound):
    """There is no file with signatures beside the archive."""

    code = "package_signature_missing"
    remedy = SignatureFileInvalid.remedy


class UnknownSignatureKey(InvalidPackage):
    """A signature by a key that is not trusted.

    Attributes:
        key_id: of the key.
    """

    code = "package_signature_unknown_key"
    remedy = "Trust the key first if it is one of yours; whoever can write archives could have signed with any other."

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The signature is by the key {key_id!r:.40}, which is not trusted.")
        self.key_id = key_id


class BadSignature(InvalidPackage):
    """A signature that is not its key's on this archive.

    Attributes:
        content_hash, key_id: what it claims to be of.
    """

    code = "package_signature_bad"
    remedy = "The archive or its signature was changed: fetch both again, and do not use these."

    def __init__(self, content_hash: str, key_id: str) -> None:
        super().__init__(f"The signature of {content_hash} is not by the key {key_id}.")
        self.content_hash = content_hash
        self.key_id = key_id
