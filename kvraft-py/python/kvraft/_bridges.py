"""The bridge between the core and each event loop that awaits it."""

import asyncio
from weakref import WeakKeyDictionary

from ._kvraft import Bridge

_BRIDGES: WeakKeyDictionary[asyncio.AbstractEventLoop, Bridge] = WeakKeyDictionary()


def of_running_loop() -> Bridge:
    """Return the bridge of the event loop that runs in this thread; the first call makes it."""
    loop = asyncio.get_running_loop()
    bridge = _BRIDGES.get(loop)
    if bridge is None:
        bridge = Bridge(loop.create_future)
        loop.add_reader(bridge.fileno(), bridge.deliver)
        _BRIDGES[loop] = bridge
    return bridge
