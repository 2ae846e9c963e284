"""What can go wrong with processes that run packages, each with its remedy."""

from __future__ import annotations

from holdfast.errors import HoldfastError


class ProtocolError(HoldfastError):
    """The process at the other end of the socket sent what no frame of this protocol can be. It is killed; no other
    version suffers."""

    code = "protocol_error"
    remedy = "The package may write into file descriptors that are not its own; see the log for what else it did."


class ChannelClosed(HoldfastError):
    """The process at the other end is gone."""

    code = "channel_closed"
    remedy = "See the log for how it ended; it is started again when its flows need it."


class VersionNotLoadable(HoldfastError):
    """A version of a package cannot be run here.

    Flows that are pinned to it wait, stranded, until it can; they are never run on another version (PK-5, PK-8).
    """

    code = "version_not_loadable"
    remedy = "Mend what the message names; the version is tried again by itself, or at once when it is deployed again."
