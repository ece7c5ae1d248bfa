"""A web application of several worker processes: one member a host, and the workers connect to it.

    pip install kvraft starlette uvicorn
    python web_app.py 127.0.0.1:7001 secret &             the member of this host
    KVRAFT_ENDPOINTS=127.0.0.1:7001 KVRAFT_SECRET_FILE=secret uvicorn --workers 2 web_app:app

A worker that is forked or spawned has no disk and no vote: it comes and goes as the web server
likes. Every worker of every host sees the same notes, counts the same visits, and hears the same
events.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import kvraft
import kvraft.aio

Notes = kvraft.aio.ReplicatedMap[str, Any]


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Notes]]:
    """Connect when the worker starts, and say goodbye when it stops."""
    endpoints, secret = os.environ["KVRAFT_ENDPOINTS"], os.environ["KVRAFT_SECRET_FILE"]
    async with kvraft.aio.connect(endpoints, codec="json", cluster_secret_file=secret) as notes:
        yield {"notes": notes}


async def read(request: Request) -> Response:
    """Answer with a note and its revision, which is its ETag."""
    notes: Notes = request.state.notes
    entry = await notes.get_entry(f"note/{request.path_params['name']}")
    if entry is None:
        return JSONResponse({"error": "no such note"}, status_code=404)
    return JSONResponse(entry.value, headers={"ETag": f'"{entry.revision}"'})


async def write(request: Request) -> Response:
    """Keep a note, unless it has changed since the revision that the client has seen."""
    notes: Notes = request.state.notes
    seen = request.headers.get("If-Match")
    condition: kvraft.PutOptions = {"if_revision": int(seen.strip('"'))} if seen else {}
    try:
        name = request.path_params["name"]
        revision = await notes.put(f"note/{name}", await request.json(), **condition)
    except kvraft.ConflictError as conflict:
        return JSONResponse({"revision": conflict.revision}, status_code=412)
    return JSONResponse({"revision": revision, "worker": os.getpid()})


async def visit(request: Request) -> Response:
    """Count a visit, exactly once, whichever worker hears of it."""
    notes: Notes = request.state.notes
    return JSONResponse({"visits": await notes.increment("visits"), "worker": os.getpid()})


async def events(request: Request) -> Response:
    """Tell every change of a note as a server-sent event."""
    watch = await request.state.notes.watch("note/")

    async def stream() -> AsyncIterator[str]:
        async with watch:
            async for event in watch:
                for change in event.changes:
                    value = change.entry and change.entry.value
                    told = json.dumps({"note": change.key, "value": value})
                    yield f"id: {event.revision}\ndata: {told}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


async def unavailable(_request: Request, error: Exception) -> Response:
    """Say that nothing happened, so that the client tries again."""
    return JSONResponse({"error": str(error)}, status_code=503, headers={"Retry-After": "1"})


app = Starlette(
    routes=[
        Route("/notes/{name}", read),
        Route("/notes/{name}", write, methods=["PUT"]),
        Route("/visits", visit, methods=["POST"]),
        Route("/events", events),
    ],
    exception_handlers={kvraft.UnavailableError: unavailable},
    lifespan=lifespan,
)


def member(listen: str, secret: str) -> None:
    """Be the member of this host until asked to stop; the end of the block hands over first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with kvraft.open("./data", listen=listen, cluster_secret_file=secret) as opened:
        opened.wait_ready(60)
        print(f"ready: {opened}", flush=True)
        signal.pause()


if __name__ == "__main__":
    member(*sys.argv[1:])
