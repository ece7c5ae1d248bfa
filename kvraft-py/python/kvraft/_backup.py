"""Backups as files, and what can be done with the files of a node that does not run."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from . import _kvraft
from ._calls import check_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._calls import Steps
    from ._progress import Progress
    from ._status import BackupInfo, Recovered, Restored, Verified

Target: TypeAlias = str | os.PathLike[str] | BinaryIO
"""Where a backup goes: a file of this name, or what takes bytes."""


def write(
    native: _kvraft.Map, target: Target, progress: Progress | None, options: Mapping[str, Any]
) -> Steps[BackupInfo]:
    """Write a backup into an open file, or into a file that has its name only once it is whole."""
    check_progress(progress)
    if not isinstance(target, str | os.PathLike):
        if not callable(getattr(target, "writelines", None)):
            kind = type(target).__name__
            raise TypeError(f"target takes a path or a file that is open for bytes, not {kind}")
        return (yield from _copy(native, target, progress, options))
    whole = Path(target)
    if whole.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(whole))
    # Of two backups to one name neither writes into the part of the other.
    part = whole.with_name(f"{whole.name}.{token_hex(4)}.part")
    file = yield lambda: part.open("xb")
    try:
        with file:
            info = yield from _copy(native, file, progress, options)
            yield file.flush
            yield lambda: os.fsync(file.fileno())
        yield lambda: _name(part, whole)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return info


def _copy(
    native: _kvraft.Map, file: BinaryIO, progress: Progress | None, options: Mapping[str, Any]
) -> Steps[BackupInfo]:
    info: BackupInfo
    info, flow = yield _kvraft.backup(native, **options)
    while chunks := (yield flow.some()):
        yield partial(file.writelines, chunks)
        if progress is not None:
            progress.update(sum(map(len, chunks)))
    return info


def _name(part: Path, whole: Path) -> None:
    """Give a file its name, so that it has it after a power cut too."""
    part.replace(whole)
    folder = os.open(whole.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def restore(
    from_: str | os.PathLike[str],
    data_dir: str | os.PathLike[str],
    *,
    name: str,
    above: int = 0,
) -> Restored:
    """Make a new cluster out of a backup: the data directory of its first node.

    The backup is verified whole before anything is written. The directory is made under another
    cluster id and node id: open it, and have other, empty nodes `join`. Revisions go on at least
    2^40 above the last one in the backup. It may be killed at any moment, and run again. Ctrl-C
    ends the wait for it, not the work.

    Args:
        from_: The file that `ReplicatedMap.backup` wrote.
        data_dir: A directory that is missing or empty.
        name: The name of the node.
        above: Have revisions begin above this one too: the `next_revision` of an earlier cluster
            that was made of the same backup.

    Raises:
        CorruptError: The backup is damaged; the message says where.
        RefusedError: The directory is not empty, or the file is no backup.
        StorageFullError: The disk is full.
        StorageError: The disk failed.

    >>> import kvraft, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     home = pathlib.Path(folder)
    ...     with kvraft.open(home / "old") as m:
    ...         m[b"k"] = b"v"
    ...         info = m.backup(home / "monday.backup")
    ...     made = kvraft.restore(home / "monday.backup", home / "new", name="node")
    ...     with kvraft.open(home / "new") as m:
    ...         m[b"k"], m.put(b"k", b"w") >= made["next_revision"]
    (b'v', True)
    """
    return _kvraft.restore(from_, data_dir, name, above).wait()


def recover_quorum(data_dir: str | os.PathLike[str], into: str | os.PathLike[str]) -> Recovered:
    """Make a new cluster out of one node of a cluster that has lost its majority for good.

    **Writes may be lost**: all that were acknowledged and never reached this node. First make
    sure that the other nodes never come back. The new cluster is made in `into`, as `restore`
    makes one; the old directory keeps what it has. Ctrl-C ends the wait for it, not the work.

    Args:
        data_dir: The directory of the node, which must not run.
        into: A directory that is missing or empty.

    Raises:
        RefusedError: A node has the directory open, it is none, or `into` is not empty.
        CorruptError: Anything in it is damaged.
        StorageFullError: The disk is full.
        StorageError: The disk failed.
    """
    return _kvraft.recover_quorum(data_dir, into).wait()


def verify_backup(file: str | os.PathLike[str]) -> Verified:
    """Read a backup from its first byte to its last and say what is wrong with it.

    Damage is no exception but what this is for: see `damage` of what it returns.

    Raises:
        RefusedError: It is no backup, or one of a newer kvraft.
        StorageError: It cannot be read.
    """
    return _kvraft.verify_backup(file).wait()


def verify_data_dir(data_dir: str | os.PathLike[str]) -> Verified:
    """Read everything that a node has stored, and say what is wrong with it.

    Nothing in the directory is changed but its `LOCK`. Damage is no exception: see `damage`.

    Raises:
        RefusedError: A node has the directory open, or it is none.
        StorageError: It cannot be read.
    """
    return _kvraft.verify_data_dir(data_dir).wait()
