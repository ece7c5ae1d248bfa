"""Supply: which licences, crates and sources the workspace may depend on, as deny.toml says."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = re.compile(r"\(|\)|[^\s()]+")


def faults(metadata: dict[str, Any], deny: Path) -> list[str]:
    """Return a sentence for each package that deny.toml does not let in."""
    with deny.open("rb") as file:
        rules = tomllib.load(file)
    found = []
    banned = {row["crate"]: row["reason"] for row in rules["bans"]["deny"]}
    registries = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    extra = {row["crate"]: set(row["allow"]) for row in rules["licenses"]["exceptions"]}
    for package in metadata["packages"]:
        name, source = package["name"], package["source"]
        allowed = set(rules["licenses"]["allow"]) | extra.get(name, set())
        if name in banned:
            found.append(f"{name} is banned: {banned[name]}")
        if source is not None and source not in registries:
            found.append(f"{name} comes from {source}, which is not an allowed registry")
        licence = package["license"]
        if licence is None:
            found.append(f"{name} names no licence")
        elif not permits(licence, allowed):
            found.append(f"{name} is under {licence}, which deny.toml does not allow")
    names = {package["name"] for package in metadata["packages"]}
    found += [
        f"deny.toml has an exception for {name}, which nothing needs"
        for name in extra.keys() - names
    ]
    return sorted(found)


def permits(expression: str, allowed: set[str]) -> bool:
    """Return whether an SPDX expression can be met with the allowed licences alone."""
    tokens = TOKEN.findall(expression.replace("/", " OR "))
    verdict, rest = either(tokens, allowed)
    if rest:
        text = f"cannot read the licence {expression!r}"
        raise ValueError(text)
    return verdict


def either(tokens: list[str], allowed: set[str]) -> tuple[bool, list[str]]:
    """Read alternatives joined by OR."""
    verdict, rest = both(tokens, allowed)
    while rest[:1] == ["OR"]:
        other, rest = both(rest[1:], allowed)
        verdict = verdict or other
    return verdict, rest


def both(tokens: list[str], allowed: set[str]) -> tuple[bool, list[str]]:
    """Read demands joined by AND, which binds tighter than OR."""
    verdict, rest = one(tokens, allowed)
    while rest[:1] == ["AND"]:
        other, rest = one(rest[1:], allowed)
        verdict = verdict and other
    return verdict, rest


def one(tokens: list[str], allowed: set[str]) -> tuple[bool, list[str]]:
    """Read one licence, or an expression in parentheses."""
    if tokens[:1] == ["("]:
        verdict, rest = either(tokens[1:], allowed)
        return verdict, rest[1:]
    name, rest = tokens[0], tokens[1:]
    if rest[:1] == ["WITH"]:
        name, rest = f"{name} WITH {rest[1]}", rest[2:]
    # "MPL-2.0+" means that version or a later one.
    return name.removesuffix("+") in allowed or name in allowed, rest
