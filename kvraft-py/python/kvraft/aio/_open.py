"""`open` and `connect` for asyncio: they are awaited, or open an `async with` block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from kvraft import _codecs, _kvraft, _open

from ._awaited import Begins, document
from ._map import ReplicatedMap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Unpack

    from kvraft._codecs import Codec
    from kvraft._options import ClientSettings, Settings

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: Literal["bytes"] | None = None,
    **settings: Unpack[Settings],
) -> Begins[ReplicatedMap[bytes, bytes]]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str], *, codec: Literal["str"], **settings: Unpack[Settings]
) -> Begins[ReplicatedMap[str, str]]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: Literal["json", "msgpack"],
    **settings: Unpack[Settings],
) -> Begins[ReplicatedMap[str, Any]]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: tuple[Literal["str"], Codec[V]],
    **settings: Unpack[Settings],
) -> Begins[ReplicatedMap[str, V]]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: tuple[Codec[K], Codec[V]],
    **settings: Unpack[Settings],
) -> Begins[ReplicatedMap[K, V]]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str],
    *,
    codec: tuple[str | Codec[Any], str | Codec[Any]],
    **settings: Unpack[Settings],
) -> Begins[ReplicatedMap[Any, Any]]: ...
@overload
def open(  # noqa: A001
    data_dir: str | PathLike[str], *, codec: Codec[T], **settings: Unpack[Settings]
) -> Begins[ReplicatedMap[T, T]]: ...
def open(  # noqa: A001
    data_dir: str | PathLike[str], *, codec: Any = None, **settings: Unpack[Settings]
) -> Begins[ReplicatedMap[Any, Any]]:
    """For `await` or `async with`, which closes the map at the end of its block."""
    codecs = _codecs.of(codec)

    async def begin() -> ReplicatedMap[Any, Any]:
        return ReplicatedMap(await _kvraft.open(data_dir, **settings), codecs)

    return Begins(begin)


@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: Literal["bytes"] | None = None,
    **settings: Unpack[ClientSettings],
) -> Begins[ReplicatedMap[bytes, bytes]]: ...
@overload
def connect(
    endpoints: str | Sequence[str], *, codec: Literal["str"], **settings: Unpack[ClientSettings]
) -> Begins[ReplicatedMap[str, str]]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: Literal["json", "msgpack"],
    **settings: Unpack[ClientSettings],
) -> Begins[ReplicatedMap[str, Any]]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: tuple[Literal["str"], Codec[V]],
    **settings: Unpack[ClientSettings],
) -> Begins[ReplicatedMap[str, V]]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: tuple[Codec[K], Codec[V]],
    **settings: Unpack[ClientSettings],
) -> Begins[ReplicatedMap[K, V]]: ...
@overload
def connect(
    endpoints: str | Sequence[str],
    *,
    codec: tuple[str | Codec[Any], str | Codec[Any]],
    **settings: Unpack[ClientSettings],
) -> Begins[ReplicatedMap[Any, Any]]: ...
@overload
def connect(
    endpoints: str | Sequence[str], *, codec: Codec[T], **settings: Unpack[ClientSettings]
) -> Begins[ReplicatedMap[T, T]]: ...
def connect(
    endpoints: str | Sequence[str], *, codec: Any = None, **settings: Unpack[ClientSettings]
) -> Begins[ReplicatedMap[Any, Any]]:
    """For `await` or `async with`, which closes the map at the end of its block."""
    codecs = _codecs.of(codec)

    async def begin() -> ReplicatedMap[Any, Any]:
        return ReplicatedMap(await _kvraft.connect(endpoints, **settings), codecs)

    return Begins(begin)


document(globals(), vars(_open))
