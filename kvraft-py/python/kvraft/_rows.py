"""Rows: what goes between the two halves of the package."""

from typing import Any, Literal, TypeAlias

from ._buffer import Buffer

EntryRow: TypeAlias = tuple[bytes, bytes, int, int, str | None]
"""`(key, value, revision, created, lease)`"""

PutRow: TypeAlias = tuple[int, bool, EntryRow | None]
"""`(revision, replaced or existed, previous)`"""

ChangeRow: TypeAlias = tuple[bytes, EntryRow | None, EntryRow | None]
"""`(key, entry, previous)`"""

EventRow: TypeAlias = (
    tuple[Literal["changes"], int, list[ChangeRow]]
    | tuple[Literal["begin", "end"], int]
    | tuple[Literal["entries"], list[EntryRow]]
)
"""An event of a watch."""

OpResultRow: TypeAlias = tuple[Literal["got", "put", "deleted", "incremented"], Any]
"""What an operation did, and its row."""

Span: TypeAlias = tuple[Buffer | None, Buffer | None, Buffer | None, Buffer | None, Buffer | None]
"""`(key, prefix, start, after, end)`"""

Shape: TypeAlias = tuple[int | None, bool, bool]
"""`(limit, reverse, keys_only)`"""

CompareRow: TypeAlias = tuple[str, Buffer, str, Any]
"""`(kind, key, cmp, operand)`"""

OpRow: TypeAlias = tuple[str, Buffer, Any, bool, float | None, str | None]
"""`(kind, key, operand, previous, ttl, lease)`"""
