"""The shape of what a node says of itself."""

from typing import Literal, TypedDict

from ._errors import KvraftError


class MemberStatus(TypedDict):
    """One member, as the newest membership that this node knows records it."""

    name: str
    """The user's word for it."""
    node_id: str
    """16 hexadecimal digits, born with its data directory."""
    address: str
    """`host:port` of its QUIC endpoint; empty if it has none."""
    http: str
    """The base URL of its HTTP interface; empty if it advertises none."""
    labels: dict[str, str]
    """Its labels."""
    voter: bool
    """Whether it votes."""
    matched: int | None
    """Index of the last log entry that it is known to have; only the leader knows it."""


class Status(TypedDict):
    """What a node says of itself, without asking anyone."""

    name: str
    """The name of this node."""
    node_id: str
    """16 hexadecimal digits, born with the data directory."""
    cluster_id: str | None
    """32 hexadecimal digits; `None` until the cluster is founded."""
    leader: str | None
    """The name of the leader; `None` while unknown."""
    leader_http: str | None
    """The leader's base URL; `None` while unknown or if it advertises none."""
    is_leader: bool
    """Whether this node leads."""
    role: Literal["leader", "follower", "candidate", "learner", "stopped"]
    """What this node does now."""
    term: int
    """The term of the newest leader or candidate it has seen."""
    first_log: int
    """Index of the first log entry that this node still has."""
    last_log: int
    """Index of the last log entry on this node; 0 if there is none."""
    committed: int
    """Index of the last entry known to be committed."""
    applied: int
    """Index of the last entry applied here."""
    revision: int
    """The revision of the last entry applied here."""
    keys: int
    """Keys in the map, as applied here."""
    bytes: int
    """Bytes of all keys and values, as applied here."""
    members: list[MemberStatus]
    """The members, sorted by name."""
    ready: bool
    """Whether this node has recovered and knows a leader."""
    disk_full: bool
    """Whether the disk is full: only writes that free space are let in."""
    failure: KvraftError | None
    """The error that stopped this node, if one did."""
    format_level: int
    """The format that the cluster writes; it rises once every member runs a release that knows a newer one."""
    version: str
    """The version of the library."""
