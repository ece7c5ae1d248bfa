"""What can be done with the files of a node that does not run, awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvraft import _backup, _kvraft

from ._awaited import document

if TYPE_CHECKING:
    import os

    from kvraft._status import Recovered, Restored, Verified


async def restore(
    from_: str | os.PathLike[str],
    data_dir: str | os.PathLike[str],
    *,
    name: str,
    above: int = 0,
) -> Restored:
    """Await what `kvraft.restore` does; a thread of its own does it."""
    return await _kvraft.restore(from_, data_dir, name, above)


async def recover_quorum(
    data_dir: str | os.PathLike[str], into: str | os.PathLike[str]
) -> Recovered:
    """Await what `kvraft.recover_quorum` does; a thread of its own does it."""
    return await _kvraft.recover_quorum(data_dir, into)


async def verify_backup(file: str | os.PathLike[str]) -> Verified:
    """Await what `kvraft.verify_backup` does; a thread of its own does it."""
    return await _kvraft.verify_backup(file)


async def verify_data_dir(data_dir: str | os.PathLike[str]) -> Verified:
    """Await what `kvraft.verify_data_dir` does; a thread of its own does it."""
    return await _kvraft.verify_data_dir(data_dir)


document(globals(), vars(_backup))
