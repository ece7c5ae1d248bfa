"""The parts of a transaction: what must hold, and what is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from ._errors import InvalidArgumentError

if TYPE_CHECKING:
    from ._options import AnyLease

K = TypeVar("K")
V = TypeVar("V")


def _check(name: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise InvalidArgumentError(f"{name} is {word!r}; take one of {', '.join(words)}")


@dataclass(frozen=True, slots=True)
class Compare(Generic[K, V]):
    """What must hold of one key for a transaction to succeed; make it with its class methods."""

    kind: Literal["revision", "created", "value", "absent", "present"]
    key: K
    cmp: Literal["==", "!=", "<", ">"] = "=="
    operand: Any = None

    def __post_init__(self) -> None:
        """Refuse what is no comparison."""
        _check("kind", self.kind, ("revision", "created", "value", "absent", "present"))
        _check("cmp", self.cmp, ("==", "!=", "<", ">"))

    @classmethod
    def revision(cls, key: K, cmp: Literal["==", "!=", "<", ">"], revision: int) -> Compare[K, V]:
        """Compare the revision of the last change; an absent key has 0."""
        return cls("revision", key, cmp, revision)

    @classmethod
    def created(cls, key: K, cmp: Literal["==", "!=", "<", ">"], revision: int) -> Compare[K, V]:
        """Compare the revision at which the key was created; an absent key has 0."""
        return cls("created", key, cmp, revision)

    @classmethod
    def value(cls, key: K, cmp: Literal["==", "!=", "<", ">"], value: V) -> Compare[K, V]:
        """Compare the value by its bytes. Of an absent key no such comparison holds."""
        return cls("value", key, cmp, value)

    @classmethod
    def absent(cls, key: K) -> Compare[K, V]:
        """Hold if the key has no value."""
        return cls("absent", key)

    @classmethod
    def present(cls, key: K) -> Compare[K, V]:
        """Hold if the key has a value."""
        return cls("present", key)


@dataclass(frozen=True, slots=True)
class Op(Generic[K, V]):
    """One operation of a transaction; make it with its class methods. Each key stands once."""

    kind: Literal["get", "put", "delete", "increment"]
    key: K
    operand: Any = None
    previous: bool = False
    ttl: float | None = None
    lease: AnyLease | None = None

    def __post_init__(self) -> None:
        """Refuse what is no operation."""
        _check("kind", self.kind, ("get", "put", "delete", "increment"))

    @classmethod
    def get(cls, key: K) -> Op[K, V]:
        """Read the entry as it stood before the transaction."""
        return cls("get", key)

    @classmethod
    def put(
        cls,
        key: K,
        value: V,
        *,
        previous: bool = False,
        ttl: float | None = None,
        lease: AnyLease | None = None,
    ) -> Op[K, V]:
        """Give the key a value, for `ttl` seconds or until the lease ends if one is given."""
        return cls("put", key, value, previous, ttl, lease)

    @classmethod
    def delete(cls, key: K, *, previous: bool = False) -> Op[K, V]:
        """Take the key away."""
        return cls("delete", key, previous=previous)

    @classmethod
    def increment(cls, key: K, delta: int = 1) -> Op[K, V]:
        """Add to the decimal number under the key; an absent key counts as 0."""
        return cls("increment", key, delta)
