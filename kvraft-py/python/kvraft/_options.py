"""The keywords of the verbs, with what they mean."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

Consistency: TypeAlias = Literal["linearizable", "lease", "local"] | None
"""How fresh a read must be; `None` is what `open` was told."""


class HasId(Protocol):
    """A lease that this process holds."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits."""
        ...


AnyLease: TypeAlias = str | HasId
"""A lease, or its id."""


class Timeout(TypedDict, total=False):
    """What every call may ask for."""

    timeout: float | None
    """The deadline of the call in seconds. Default: `request_timeout`."""


class ReadOptions(Timeout, total=False):
    """What a read may ask for."""

    consistency: Consistency
    """`"linearizable"` sees every write that was acknowledged anywhere before the read began;
    `"lease"` too, but trusts clocks; `"local"` sees what this node has applied. Default: the
    setting of `open`."""
    min_revision: int
    """Wait until this node has applied that revision; with the revision of your last write you
    read your writes on any node."""


class RequestOptions(Timeout, total=False):
    """What a write of any kind may ask for."""

    request_id: str | bytes | None
    """Apply the write once however often it is sent with this id, by any process and through any
    member: 1 to 255 bytes, such as a UUID. Remembered for an hour of led time."""
    principal: str | bytes | None
    """In whose name the request id is: ids of different principals never meet."""


class DeleteOptions(RequestOptions, total=False):
    """What the write of one key may ask for. At most one condition."""

    if_revision: int | None
    """Write only if the entry was last changed at this revision; 0 means that there is none."""
    if_absent: bool
    """Write only if the key has no value."""
    if_present: bool
    """Write only if the key has a value, whichever."""
    if_value: Any
    """Write only if the key has exactly this value."""


class PutOptions(DeleteOptions, total=False):
    """What a put may ask for."""

    ttl: float | None
    """Take the key away after so many seconds, unless it is put again: 0.1 to ten years."""
    lease: AnyLease | None
    """Take the key away when the lease ends, unless it is put again without it."""


class ClientSettings(TypedDict, total=False):
    """The settings of a client; `connect` says what they mean."""

    name: str | None
    consistency: Consistency
    request_timeout: float | str | None
    cluster_secret: str | bytes | Sequence[str | bytes] | None
    cluster_secret_file: str | PathLike[str] | None
    tls_ca: str | PathLike[str] | None
    tls_cert: str | PathLike[str] | None
    tls_key: str | PathLike[str] | None
    insecure: bool | Literal["true", "false", "anywhere"] | None


class Settings(ClientSettings, total=False):
    """The settings of a member; `open` says what they mean."""

    listen: str | None
    advertise: str | None
    advertise_http: str | None
    labels: Mapping[str, str] | str | None
    members: Mapping[str, str] | str | None
    join: Sequence[str] | str | None
    auto_promote: bool | Literal["true", "false"] | None
    bootstrap_expect: int | str | None
    discover_dns: str | None
    heartbeat_interval: float | str | None
    election_timeout: float | str | None
    checkpoint_interval: float | str | None
    max_value_bytes: int | str | None
    storage_limit_bytes: int | str | None
    snapshot_bytes_per_second: int | str | None
