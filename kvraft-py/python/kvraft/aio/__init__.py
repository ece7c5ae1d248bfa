"""The map of `kvraft` for asyncio: its verbs are awaited on the caller's own event loop.

>>> import asyncio, kvraft.aio, tempfile
>>> async def main(data_dir):
...     async with kvraft.aio.open(data_dir) as m:
...         await m.put(b"greeting", b"hello")
...         return await m.get(b"greeting")
>>> with tempfile.TemporaryDirectory() as data_dir:
...     asyncio.run(main(data_dir))
b'hello'

There is no thread between the core and the loop: the loop itself drives the calls, and is woken
once for all that can go on. uvloop works as well.
"""

from ._awaited import Begins
from ._held import BeginsWatch, Lease, Lock, Watch
from ._map import ReplicatedMap
from ._offline import recover_quorum, restore, verify_backup, verify_data_dir
from ._open import connect, open  # noqa: A004

__all__ = [
    "Begins",
    "BeginsWatch",
    "Lease",
    "Lock",
    "ReplicatedMap",
    "Watch",
    "connect",
    "open",
    "recover_quorum",
    "restore",
    "verify_backup",
    "verify_data_dir",
]

# What tracebacks and `help` call them.
for _name in __all__:
    globals()[_name].__module__ = __name__
