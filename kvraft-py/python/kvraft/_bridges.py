"""The bridge between the core and each event loop that awaits it."""

import asyncio
from weakref import WeakKeyDictionary, ref

from ._kvraft import Bridge

# The loop holds its bridge, whose descriptor it watches, and the bridge the loop: if this held
# either, no loop would ever go.
_BRIDGES: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Bridge]] = WeakKeyDictionary()


def of_running_loop() -> Bridge:
    """Return the bridge of the event loop that runs in this thread; the first call makes it."""
    loop = asyncio.get_running_loop()
    known = _BRIDGES.get(loop)
    bridge = None if known is None else known()
    if bridge is None:
        bridge = Bridge(loop.create_future)
        loop.add_reader(bridge.fileno(), bridge.deliver)
        _BRIDGES[loop] = ref(bridge)
    return bridge
