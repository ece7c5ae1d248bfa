"""A dictionary that lives in your process and on other machines, and survives the loss of some.

>>> import kvraft, tempfile
>>> with tempfile.TemporaryDirectory() as data_dir, kvraft.open(data_dir) as m:
...     m[b"greeting"] = b"hello"
...     m[b"greeting"]
b'hello'

`open` makes this process a member of a cluster, `connect` a client of one; both give a
`ReplicatedMap`. `kvraft.aio` is the same for asyncio.
"""

from ._backup import recover_quorum, restore, verify_backup, verify_data_dir
from ._codecs import Codec
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
from ._held import Lease, Lock, Watch
from ._kvraft import __version__
from ._logs import log_to_logging
from ._map import ReplicatedMap
from ._open import connect, open  # noqa: A004
from ._options import (
    ClientSettings,
    Consistency,
    DeleteOptions,
    PutOptions,
    ReadOptions,
    RequestOptions,
    Settings,
)
from ._progress import Progress
from ._status import (
    BackupInfo,
    MemberState,
    MemberStatus,
    Metrics,
    Recovered,
    Restored,
    Status,
    Verification,
    Verified,
)
from ._txn import Compare, Op
from ._types import (
    Change,
    Changes,
    Deleted,
    Entry,
    Incremented,
    LeaseInfo,
    OpResult,
    Page,
    Put,
    RangeDeleted,
    SnapshotBegin,
    SnapshotEnd,
    SnapshotEntries,
    TxnResult,
    WatchEvent,
)

__all__ = [
    "BackupInfo",
    "Change",
    "Changes",
    "ClientSettings",
    "ClosedError",
    "Codec",
    "CompactedError",
    "Compare",
    "ConflictError",
    "Consistency",
    "CorruptError",
    "DeleteOptions",
    "Deleted",
    "Entry",
    "ExpiredError",
    "Incremented",
    "IndeterminateError",
    "InternalError",
    "InvalidArgumentError",
    "KvraftError",
    "Lease",
    "LeaseInfo",
    "Lock",
    "MemberState",
    "MemberStatus",
    "Metrics",
    "Op",
    "OpResult",
    "OverloadedError",
    "Page",
    "Progress",
    "Put",
    "PutOptions",
    "RangeDeleted",
    "ReadOptions",
    "Recovered",
    "RefusedError",
    "ReplicatedMap",
    "RequestOptions",
    "Restored",
    "Settings",
    "SnapshotBegin",
    "SnapshotEnd",
    "SnapshotEntries",
    "Status",
    "StorageError",
    "StorageFullError",
    "TxnResult",
    "UnauthorizedError",
    "UnavailableError",
    "Verification",
    "Verified",
    "Watch",
    "WatchEvent",
    "__version__",
    "connect",
    "log_to_logging",
    "open",
    "recover_quorum",
    "restore",
    "verify_backup",
    "verify_data_dir",
]

# What tracebacks, pickles and `help` call them.
for _name in __all__:
    if getattr(globals()[_name], "__module__", "").startswith("kvraft."):
        globals()[_name].__module__ = __name__
