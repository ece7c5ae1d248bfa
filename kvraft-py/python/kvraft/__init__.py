"""An ordered map from bytes to bytes that lives in your process and survives the loss of machines.

>>> import kvraft, tempfile
>>> with tempfile.TemporaryDirectory() as data_dir, kvraft.open(data_dir) as m:
...     revision = m.put(b"greeting", b"hello")
...     m.get(b"greeting")
b'hello'
"""

from ._errors import (
    ClosedError,
    CompactedError,
    ConflictError,
    CorruptError,
    ExpiredError,
    IndeterminateError,
    InternalError,
    InvalidArgumentError,
    KvraftError,
    OverloadedError,
    RefusedError,
    StorageError,
    StorageFullError,
    UnauthorizedError,
    UnavailableError,
)
from ._kvraft import Entry, ReplicatedMap, Scan, __version__, open  # noqa: A004
from ._status import MemberStatus, Status

__all__ = [
    "ClosedError",
    "CompactedError",
    "ConflictError",
    "CorruptError",
    "Entry",
    "ExpiredError",
    "IndeterminateError",
    "InternalError",
    "InvalidArgumentError",
    "KvraftError",
    "MemberStatus",
    "OverloadedError",
    "RefusedError",
    "ReplicatedMap",
    "Scan",
    "Status",
    "StorageError",
    "StorageFullError",
    "UnauthorizedError",
    "UnavailableError",
    "__version__",
    "open",
]

for _error in (KvraftError, *KvraftError.__subclasses__()):
    _error.__module__ = __name__  # what tracebacks and pickles call it
del _error
