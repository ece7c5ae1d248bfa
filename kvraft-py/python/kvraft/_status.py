"""The shape of what a node says of itself, and of what is said of its files."""

from typing import Literal, TypedDict

from ._errors import KvraftError


class LinkStatus(TypedDict):
    """The QUIC connection from this node to a member, since it was made."""

    round_trip_micros: int
    """How long a packet and its acknowledgement take, in microseconds, smoothed."""
    packets_sent: int
    """Packets sent."""
    packets_lost: int
    """Those of them that were lost, and sent again."""


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
    link: LinkStatus | None
    """The connection by which this node asks it; `None` while there is none, as to itself."""


class Status(TypedDict):
    """What a node says of itself, without asking anyone."""

    name: str
    """The name of this node."""
    node_id: str
    """16 hexadecimal digits, born with the data directory."""
    address: str
    """The `host:port` at which peers reach it by QUIC; empty if it has no socket."""
    cluster_id: str | None
    """32 hexadecimal digits; `None` until the cluster is founded."""
    leader: str | None
    """The name of the leader; `None` while unknown."""
    leader_http: str | None
    """The leader's base URL; `None` while unknown or if it advertises none."""
    is_leader: bool
    """Whether this node leads."""
    role: Literal["leader", "follower", "candidate", "learner", "client", "stopped"]
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
    state_hash: str
    """One number over all that is replicated, in 16 hexadecimal digits: nodes that have applied
    the same have the same."""
    members: list[MemberStatus]
    """The members, sorted by name."""
    ready: bool
    """Whether this node has recovered and knows a leader."""
    disk_full: bool
    """Whether the disk is full: only writes that free space are let in."""
    divergence: str | None
    """What the last comparison of the members' states found wrong here. A node that is not `ready`
    for it serves no reads until it has fetched its state from another member."""
    failure: KvraftError | None
    """The error that stopped this node, if one did."""
    format_level: int
    """The format that the cluster writes; it rises once all members know a newer one."""
    version: str
    """The version of the library."""


class DurationMetrics(TypedDict):
    """How long something took each time, since the node was opened."""

    count: int
    """How many times."""
    total_micros: int
    """All of them together, in microseconds."""
    within: list[tuple[int, int]]
    """Bounds in microseconds, each with how many took no longer."""


class HeldMetrics(TypedDict):
    """What a node holds of the replicated state now."""

    keys: int
    """Keys with a value."""
    key_bytes: int
    """Bytes of these keys and their values."""
    sessions: int
    """Processes whose retries are recognised."""
    leases: int
    """Leases, one for each key with a time to live among them."""
    locks_held: int
    """Locks that a lease holds."""
    locks_waiting: int
    """Places in the queues of all locks."""
    request_ids: int
    """Request ids that are remembered, each for an hour of led time."""
    request_bytes: int
    """Bytes of these ids and their answers."""


class WatchMetrics(TypedDict):
    """The watches of a node, and the changes that it holds for them."""

    watchers: int
    """Watches now."""
    history_revisions: int
    """Revisions with changes that are held now."""
    history_bytes: int
    """Bytes of these changes."""
    oldest_revision: int
    """The oldest revision from which a watch can begin now."""
    compacted: int
    """Times that a watch was told that changes are gone."""


class ProposalMetrics(TypedDict):
    """What a node has proposed while it led, since it was opened."""

    accepted: int
    """Commands that were given to Raft."""
    overloaded: int
    """Attempts that were turned away. Most are tried again and succeed."""


class ReadMetrics(TypedDict):
    """What fresh reads have asked for since the node was opened."""

    barriers: int
    """Reads that waited for a proof of who leads."""
    rounds: int
    """Questions that were asked for that. Reads that wait together share one."""


class Metrics(TypedDict):
    """How much one node has done since it was opened, and how much it holds."""

    log_entries: int
    """Log entries written to this node's disk."""
    log_batches: int
    """Transactions that wrote to the log."""
    log_flushes: int
    """Times that the disk of the log was asked to flush."""
    log_flush_time: DurationMetrics
    """How long these flushes took, with the writes before them."""
    checkpoints: int
    """Times that applied changes moved from memory into the state file."""
    checkpoint_time: DurationMetrics
    """How long that took."""
    buffer_bytes: int
    """Bytes of applied changes that are in memory now and not yet in the state file."""
    state_bytes: int
    """Bytes that the state file uses now."""
    disk_bytes: int
    """Bytes that the files of the data directory take of the disk now."""
    leader_changes: int
    """Times that this node saw a leader take office, itself included."""
    leases_expired: int
    """Leases that ended by their time."""
    snapshot_bytes_sent: int
    """Bytes of snapshots that this node has sent to members that were too far behind."""
    snapshot_bytes_received: int
    """Bytes of snapshots that this node has received."""
    snapshots_broken_off: int
    """Times that a snapshot of this node's did not get through; it goes on from there."""
    held: HeldMetrics
    """What is replicated, as this node has applied it."""
    watches: WatchMetrics
    """Those who watch on this node."""
    proposals: ProposalMetrics
    """What this node has proposed as the leader."""
    reads: ReadMetrics
    """How reads on this node were kept fresh."""


class BackupInfo(TypedDict):
    """What a backup holds."""

    cluster: str
    """The id of the cluster that it was taken of: 32 hexadecimal digits."""
    revision: int
    """The last revision that it has."""
    entries: int
    """How many keys it has."""
    bytes: int
    """How many bytes their keys and values have. The file is a little larger."""
    changed: float
    """The wall time of the last write in it, in seconds since 1970: for people."""


class Restored(TypedDict):
    """What came of a backup."""

    cluster: str
    """The id of the new cluster: 32 hexadecimal digits."""
    node_id: str
    """The id of its one node: 16 hexadecimal digits."""
    next_revision: int
    """No write of the new cluster has a revision below this one."""
    backup: BackupInfo
    """What the backup held."""


class Recovered(Restored):
    """What was saved of a cluster that has lost its majority."""

    name: str
    """The name of its one node, which is that of the old one."""
    committed: int
    """The log index up to which the node knew entries to be committed; later ones were kept."""
    last: int
    """The last entry in the log of the node: all up to it were kept, and nothing behind it."""


class Verified(TypedDict):
    """What was counted in the files of a node or in a backup, and what is wrong."""

    is_sound: bool
    """Whether nothing is damaged."""
    counts: dict[str, int]
    """What was counted, in the order in which it is told."""
    facts: dict[str, str]
    """Everything else that is told."""
    damage: list[str]
    """Every damaged thing with its place, up to a thousand of them."""
    more_damage: int
    """How many more there are than are named."""


class MemberState(TypedDict):
    """What one member's state was."""

    name: str
    """The user's word for it."""
    node_id: str
    """16 hexadecimal digits, born with its data directory."""
    voter: bool
    """Whether it votes: the majority is one of voters."""
    state_hash: str | None
    """The hash over all that it replicates; `None` if it did not answer."""
    failure: str | None
    """Why it did not answer."""


class Verification(TypedDict):
    """The states of all members as of one revision, by their hashes."""

    verdict: Literal["agreed", "diverged", "split", "unknown"]
    """`diverged`: a member has not the state of the majority. `split`: states differ, and none is
    that of a majority. `unknown`: too few members answered."""
    revision: int
    """The revision at which every member sampled its state."""
    diverged: list[str]
    """The names of those that have not the state of the majority."""
    members: list[MemberState]
    """The members, sorted by name."""
