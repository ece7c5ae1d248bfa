"""`open` and `connect`: a map as a member of a cluster, or as a client of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from . import _codecs, _kvraft
from ._map import ReplicatedMap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Unpack

    from ._codecs import Codec
    from ._options import ClientSettings, Settings

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: Literal["bytes"] | None = None,
    **settings: Unpack[Settings],
) -> ReplicatedMap[bytes, bytes]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str], *, codec: Literal["str"], **settings: Unpack[Settings]
) -> ReplicatedMap[str, str]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: Literal["json", "msgpack"],
    **settings: Unpack[Settings],
) -> ReplicatedMap[str, Any]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: tuple[Literal["str"], Codec[V]],
    **settings: Unpack[Settings],
) -> ReplicatedMap[str, V]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: tuple[Codec[K], Codec[V]],
    **settings: Unpack[Settings],
) -> ReplicatedMap[K, V]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: tuple[str | Codec[Any], str | Codec[Any]],
    **settings: Unpack[Settings],
) -> ReplicatedMap[Any, Any]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str], *, codec: Codec[T], **settings: Unpack[Settings]
) -> ReplicatedMap[T, T]: ...
def open(  # noqa: A001
    data_dir: str | PathLike[str], *, codec: Any = None, **settings: Unpack[Settings]
) -> ReplicatedMap[Any, Any]:
    """Open the node whose data lies in `data_dir`, and start it.

    With nothing but a data directory it is a single node that has no socket. Give `listen`,
    `members` and one kind of security (`cluster_secret`, the three `tls_*`, or `insecure`) to
    make it a member of a cluster. It returns when the node has recovered what its disk holds; a
    leader may not be known yet: `wait_ready` waits for one, and every call does by itself.

    Ctrl-C, or the cancellation of the task that awaits it, stops the node that was being opened;
    the directory is free a moment later. So it is of a map that is dropped without `close`.

    Every setting also takes the text that flags and environment variables take.

    Args:
        data_dir: The directory that holds this node's data; created if needed.
        codec: What keys and values are in Python. `"bytes"` (the default) leaves them as they
            are; `"str"` is text in UTF-8; `"json"` is text for the keys and JSON for the values;
            `"msgpack"` likewise, if that package is installed. Or any object with the methods
            `encode` and `decode`, or a pair of these for keys and for values: `("json", "json")`
            is what a `TypedMap` of Rust stores. Pickle is not among them: bytes that other
            machines wrote could run code here.
        **settings: Each by its name:

            name: The stable word for this node: 1 to 63 letters, digits, `-`, `_` and `.`.
                Default `node`.
            listen: The UDP address `ip:port` to listen on; port 0 takes a free one. Default: no
                socket.
            advertise: The `host:port` that peers dial. Default: this node's in `members`, else
                `listen`.
            advertise_http: The base URL that clients may be sent to. Default: none.
            labels: What the member record carries, such as a zone.
            members: The names and addresses of the nodes that found the cluster together, this
                one included. All nodes must be given the same ones. Used only until then.
            join: The `host:port`s of members of a cluster that exists: this node joins it
                instead of founding one. Used only until it is a member.
            auto_promote: Whether this node, once it has joined and caught up, votes. Default
                true.
            bootstrap_expect: How many nodes at `discover_dns` found the cluster, instead of
                `members`.
            discover_dns: The `host:port` whose name stands for the addresses of all nodes.
            cluster_secret: What all nodes share: at least 32 random bytes, in any text form. Of
                several all are trusted, and the first one signs.
            cluster_secret_file: A file with such a secret.
            tls_ca: The PEM file of the certificate authority; read again when it changes.
            tls_cert: The PEM file of this node's certificate.
            tls_key: The PEM file of this node's key (PKCS#8 or SEC1).
            insecure: `True` gives up the protection between nodes on loopback addresses,
                `"anywhere"` on all.
            consistency: The consistency of reads that do not set their own. Default
                linearizable.
            heartbeat_interval: How often a leader shows that it lives, in seconds. Default 0.05.
                All nodes share the value that the cluster was founded with.
            election_timeout: The shortest silence of a leader before an election, in seconds.
                Default 0.2, at least four heartbeats. Shared like the heartbeat.
            request_timeout: The deadline of calls that do not set their own, in seconds.
                Default 5.
            checkpoint_interval: How often applied changes move from memory and log into the
                state file, in seconds. Default 1.
            max_value_bytes: The largest value. Default 4 MiB, at most 64 MiB. Shared.
            storage_limit_bytes: How many bytes all keys and values may have together. Default
                8 GiB; beyond it writes that grow raise `StorageFullError`. Shared.
            snapshot_bytes_per_second: How many bytes of snapshots this node sends in a second,
                to all that need one together. Default 64 MiB, at least 1 MiB.

    Raises:
        InvalidArgumentError: A setting is wrong; the message says what it takes.
        RefusedError: The directory is in use or belongs to another node.
        CorruptError: Its bytes cannot be trusted or are of a newer format.
        StorageError: The disk or the socket failed.
    """
    codecs = _codecs.of(codec)
    return ReplicatedMap(_kvraft.open(data_dir, **settings).wait(), codecs)


@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: Literal["bytes"] | None = None,
    **settings: Unpack[ClientSettings],
) -> ReplicatedMap[bytes, bytes]: ...
@overload
def connect(
    endpoints: str | Sequence[str], *, codec: Literal["str"], **settings: Unpack[ClientSettings]
) -> ReplicatedMap[str, str]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: Literal["json", "msgpack"],
    **settings: Unpack[ClientSettings],
) -> ReplicatedMap[str, Any]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: tuple[Literal["str"], Codec[V]],
    **settings: Unpack[ClientSettings],
) -> ReplicatedMap[str, V]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: tuple[Codec[K], Codec[V]],
    **settings: Unpack[ClientSettings],
) -> ReplicatedMap[K, V]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: tuple[str | Codec[Any], str | Codec[Any]],
    **settings: Unpack[ClientSettings],
) -> ReplicatedMap[Any, Any]: ...
@overload
def connect(
    endpoints: str | Sequence[str], *, codec: Codec[T], **settings: Unpack[ClientSettings]
) -> ReplicatedMap[T, T]: ...
def connect(
    endpoints: str | Sequence[str], *, codec: Any = None, **settings: Unpack[ClientSettings]
) -> ReplicatedMap[Any, Any]:
    """Connect to the members of a cluster as a client: a process without a disk or a vote.

    For workers, scripts and jobs that come and go. Every verb works as on a member, with the
    same promises. Values cross the network, so that a read takes a round trip; what `"local"`
    reads see is what the member has that is asked.

    Args:
        endpoints: The `host:port`s that members listen on (not those of HTTP), in a list or
            separated by commas. One that answers is enough: it tells of the others.
        codec: As for `open`.
        **settings: Each by its name:

            name: The word for this client in the logs of the members. Default `client`.
            consistency: The consistency of reads that do not set their own.
            request_timeout: The deadline of calls that do not set their own, in seconds,
                connecting included. Default 5.
            cluster_secret, cluster_secret_file, tls_ca, tls_cert, tls_key, insecure: As for
                `open`.

    Raises:
        InvalidArgumentError: A setting is wrong; the message says what it takes.
        UnavailableError: No endpoint has answered in `request_timeout`.
        UnauthorizedError: They have another secret or authority.
    """
    codecs = _codecs.of(codec)
    return ReplicatedMap(_kvraft.connect(endpoints, **settings).wait(), codecs)
