from collections.abc import Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, TypeVar, final, overload

from typing_extensions import Buffer

from ._status import Status

_T = TypeVar("_T")
_Consistency: TypeAlias = Literal["linearizable", "lease", "local"]

__all__ = ["Entry", "ReplicatedMap", "Scan", "__version__", "open"]

__version__: Final[str]

def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    name: str | None = None,
    listen: str | None = None,
    advertise: str | None = None,
    advertise_http: str | None = None,
    labels: Mapping[str, str] | str | None = None,
    members: Mapping[str, str] | str | None = None,
    join: Sequence[str] | str | None = None,
    auto_promote: bool | Literal["true", "false"] | None = None,
    bootstrap_expect: int | str | None = None,
    discover_dns: str | None = None,
    cluster_secret: str | bytes | Sequence[str | bytes] | None = None,
    cluster_secret_file: str | PathLike[str] | None = None,
    tls_ca: str | PathLike[str] | None = None,
    tls_cert: str | PathLike[str] | None = None,
    tls_key: str | PathLike[str] | None = None,
    insecure: bool | Literal["true", "false", "anywhere"] | None = None,
    consistency: _Consistency | None = None,
    heartbeat_interval: float | str | None = None,
    election_timeout: float | str | None = None,
    request_timeout: float | str | None = None,
    checkpoint_interval: float | str | None = None,
    max_value_bytes: int | str | None = None,
    storage_limit_bytes: int | str | None = None,
    snapshot_bytes_per_second: int | str | None = None,
) -> ReplicatedMap:
    """Open the node whose data lies in `data_dir`, and start it.

    With nothing but a data directory it is a single node that has no socket. Give `listen`,
    `members` and one kind of security (`cluster_secret`, the three `tls_*`, or `insecure`) to
    make it a member of a cluster. It returns when the node has recovered what its disk holds; a
    leader may not be known yet: `wait_ready` waits for one, and every call does by itself.

    Every setting also takes the text that flags and environment variables take.

    Args:
        data_dir: The directory that holds this node's data; created if needed.
        name: The stable word for this node: 1 to 63 letters, digits, `-`, `_` and `.`.
            Default `node`.
        listen: The UDP address `ip:port` to listen on; port 0 takes a free one. Default: no
            socket.
        advertise: The `host:port` that peers dial. Default: this node's in `members`, else
            `listen`.
        advertise_http: The base URL that clients may be sent to. Default: none.
        labels: What the member record carries, such as a zone.
        members: The names and addresses of the nodes that found the cluster together, this one
            included. All nodes must be given the same ones. Used only until then.
        join: The `host:port`s of members of a cluster that exists: this node joins it instead of
            founding one. Used only until it is a member.
        auto_promote: Whether this node, once it has joined and caught up, votes. Default true.
        bootstrap_expect: How many nodes at `discover_dns` found the cluster, instead of `members`.
        discover_dns: The `host:port` whose name stands for the addresses of all nodes.
        cluster_secret: What all nodes share: at least 32 random bytes, in any text form. Of
            several all are trusted, and the first one signs.
        cluster_secret_file: A file with such a secret.
        tls_ca: The PEM file of the certificate authority; read again when it changes.
        tls_cert: The PEM file of this node's certificate.
        tls_key: The PEM file of this node's key (PKCS#8 or SEC1).
        insecure: `True` gives up the protection between nodes on loopback addresses,
            `"anywhere"` on all.
        consistency: The consistency of reads that do not set their own. Default linearizable.
        heartbeat_interval: How often a leader shows that it lives, in seconds. Default 0.05. All
            nodes share the value that the cluster was founded with.
        election_timeout: The shortest silence of a leader before an election, in seconds.
            Default 0.2, at least four heartbeats. Shared like the heartbeat.
        request_timeout: The deadline of calls that do not set their own, in seconds. Default 5.
        checkpoint_interval: How often applied changes move from memory and log into the state
            file, in seconds. Default 1.
        max_value_bytes: The largest value. Default 4 MiB, at most 64 MiB. Shared.
        storage_limit_bytes: How many bytes all keys and values may have together. Default 8 GiB;
            beyond it writes that grow raise `StorageFullError`. Shared.
        snapshot_bytes_per_second: How many bytes of snapshots this node sends in a second, to all
            other nodes together. Default 64 MiB, at least 1 MiB.

    Raises:
        InvalidArgumentError: A setting is wrong; the message says what it takes.
        RefusedError: The directory is in use or belongs to another node.
        CorruptError: Its bytes cannot be trusted or are of a newer format.
        StorageError: The disk or the socket failed.
    """

@final
class ReplicatedMap:
    """An ordered map from bytes to bytes that lives in this process and on the other members.

    Any thread may use it, and each call lets the other threads run while it waits. Keys have 1
    to 511 bytes, values up to `max_value_bytes`; both may be any bytes-like object, and come
    back as `bytes`. Every call works on every member: writes find the leader, reads are answered
    here. After a fork the child cannot use it and gets `ClosedError`.

    Every call may raise `InvalidArgumentError`, `UnavailableError` if no quorum answered in time
    and nothing was applied, `ClosedError` or `StorageError`.
    """

    @overload
    def get(
        self,
        key: Buffer,
        default: None = None,
        *,
        consistency: _Consistency | None = None,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> bytes | None:
        """Read the value of `key`, or return `default` if it has none.

        Args:
            key: 1 to 511 bytes.
            default: What to return if the key has no value.
            consistency: `"linearizable"` sees every write that was acknowledged anywhere before
                the read began; `"local"` sees what this node has applied, without any network.
                Default: the setting of `open`.
            min_revision: Wait until this node has applied that revision; with the revision of
                your last write you read your writes on any node.
            timeout: The deadline of the call in seconds. Default: `request_timeout`.

        Raises:
            CorruptError: The stored bytes are damaged.
        """

    @overload
    def get(
        self,
        key: Buffer,
        default: _T,
        *,
        consistency: _Consistency | None = None,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> bytes | _T: ...
    def get_entry(
        self,
        key: Buffer,
        *,
        consistency: _Consistency | None = None,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Entry | None:
        """Read the entry of `key` with its revisions, as `get` does, or `None`."""

    def put(self, key: Buffer, value: Buffer, *, timeout: float | None = None) -> int:
        """Give `key` the value `value` and return the revision of the change.

        It returns when the write is on the disks of a majority and applied. It is applied once
        or not at all, however often it had to be sent. Ctrl-C does not take it back.

        Raises:
            StorageFullError: The storage limit is reached.
            OverloadedError: A queue is at its bound.
            IndeterminateError: The deadline passed after the write was sent: it may or may not
                be applied.
        """

    def delete(self, key: Buffer, *, timeout: float | None = None) -> bool:
        """Take `key` and its value away and return whether there was one.

        Raises:
            OverloadedError: A queue is at its bound.
            IndeterminateError: As for `put`.
        """

    def scan(
        self,
        prefix: Buffer | None = None,
        *,
        start: Buffer | None = None,
        end: Buffer | None = None,
        limit: int | None = None,
        reverse: bool = False,
        consistency: _Consistency | None = None,
        min_revision: int = 0,
        timeout: float | None = None,
    ) -> Scan:
        """Read every entry in a range, in the order of the keys, as it stands at one moment.

        It reads on demand and holds little in memory. It keeps its moment for 30 s; then it
        raises `CompactedError`.

        Args:
            prefix: Only keys that begin with it.
            start: Leave out the keys before it.
            end: Leave out this key and those after it.
            limit: End after this many entries.
            reverse: Go from the last key to the first.
            consistency: As for `get`.
            min_revision: As for `get`.
            timeout: The deadline for the moment to be found, in seconds.
        """

    def status(self) -> Status:
        """Say what this node knows of itself and its cluster, without asking anyone."""

    def wait_ready(self, timeout: float) -> None:
        """Wait until this node has recovered and knows a leader.

        Raises:
            UnavailableError: That took longer than `timeout` seconds.
        """

    def close(self) -> None:
        """Stop the node: hand leadership over, finish what was begun, close files and socket.

        Calling it again does nothing. The end of the interpreter closes what is still open.

        Raises:
            StorageError: The last writes to the disk failed. The node is stopped all the same.
        """

    def __getitem__(self, key: Buffer, /) -> bytes: ...
    def __setitem__(self, key: Buffer, value: Buffer, /) -> None: ...
    def __delitem__(self, key: Buffer, /) -> None: ...
    def __contains__(self, key: Buffer, /) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class Entry:
    """A key with its value and the revisions of its life."""

    @property
    def key(self) -> bytes:
        """1 to 511 bytes."""

    @property
    def value(self) -> bytes:
        """Any bytes, up to `max_value_bytes`."""

    @property
    def revision(self) -> int:
        """The revision of the last change."""

    @property
    def created(self) -> int:
        """The revision at which the key was created; a delete ends its life."""

@final
class Scan:
    """An iterator over entries; one thread at a time may use it."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Entry: ...
