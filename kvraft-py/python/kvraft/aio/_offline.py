"""What can be done with the files of a node that does not run, awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvraft import _backup, _kvraft

from ._awaited import twin

if TYPE_CHECKING:
    import os

    from kvraft._status import Recovered, Restored, Verified


@twin(_backup.restore)
async def restore(
    from_: str | os.PathLike[str],
    data_dir: str | os.PathLike[str],
    *,
    name: str,
    above: int = 0,
) -> Restored:
    """The awaited twin of `kvraft.restore`; a thread of its own does it."""
    return await _kvraft.restore(from_, data_dir, name, above)


@twin(_backup.recover_quorum)
async def recover_quorum(
    data_dir: str | os.PathLike[str], into: str | os.PathLike[str]
) -> Recovered:
    """The awaited twin of `kvraft.recover_quorum`; a thread of its own does it."""
    return await _kvraft.recover_quorum(data_dir, into)


@twin(_backup.verify_backup)
async def verify_backup(file: str | os.PathLike[str]) -> Verified:
    """The awaited twin of `kvraft.verify_backup`; a thread of its own does it."""
    return await _kvraft.verify_backup(file)


@twin(_backup.verify_data_dir)
async def verify_data_dir(data_dir: str | os.PathLike[str]) -> Verified:
    """The awaited twin of `kvraft.verify_data_dir`; a thread of its own does it."""
    return await _kvraft.verify_data_dir(data_dir)
