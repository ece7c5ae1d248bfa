"""The exceptions: one class for each kind of error, the same kinds as in Rust, C and HTTP."""

from typing import ClassVar


class KvraftError(Exception):
    """The base of all exceptions of kvraft. The text is for people: act on the class."""

    kind: ClassVar[str] = "unknown"
    """The name of the kind, the same in every language."""

    revision: int | None = None
    """The revision that belongs to the error, if one does: the current one of the key for
    `ConflictError`, the oldest that is left for `CompactedError`."""


class InvalidArgumentError(KvraftError, ValueError):
    """The call or the configuration is wrong; nothing was done. Fix it."""

    kind = "invalid_argument"


class ConflictError(KvraftError):
    """A condition of the write did not hold; nothing was done. Read and decide again."""

    kind = "conflict"


class UnavailableError(KvraftError, TimeoutError):
    """No leader or no quorum in time; nothing was done. Retry freely."""

    kind = "unavailable"


class IndeterminateError(KvraftError, TimeoutError):
    """A write was sent and its answer was lost: it may or may not be applied. Read back."""

    kind = "indeterminate"


class StorageFullError(KvraftError):
    """The storage limit is reached; nothing was done. Delete something or raise the limit."""

    kind = "full"


class CompactedError(KvraftError):
    """A watch or scan is too far behind. Start it again."""

    kind = "compacted"


class ExpiredError(KvraftError):
    """The lease or lock is gone; nothing was done. Acquire it again."""

    kind = "expired"


class RefusedError(KvraftError):
    """The cluster or the data directory does not allow it; nothing was done."""

    kind = "refused"


class OverloadedError(KvraftError):
    """A queue is at its bound; nothing was done. Slow down, then retry."""

    kind = "overloaded"


class UnauthorizedError(KvraftError, PermissionError):
    """The credentials are missing or do not allow it; nothing was done."""

    kind = "unauthorized"


class ClosedError(KvraftError):
    """The map was closed, or is used after a fork; nothing was done. Open it again."""

    kind = "closed"


class StorageError(KvraftError):
    """The disk of this node failed and the node stopped serving. Writes may be applied."""

    kind = "storage"


class CorruptError(KvraftError):
    """Stored or received bytes cannot be trusted. Restore this node."""

    kind = "corrupt"


class InternalError(KvraftError):
    """A bug in kvraft. Please report it."""

    kind = "internal"


_BY_KIND: dict[str, type[KvraftError]] = {
    error.kind: error for error in KvraftError.__subclasses__()
}


def of_kind(kind: str, message: str, revision: int | None) -> KvraftError:
    """Make the exception of a kind; of one that this version does not know, the base."""
    error = _BY_KIND.get(kind, KvraftError)(message)
    error.revision = revision
    return error
