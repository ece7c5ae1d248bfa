"""The table of all values in the README of the chart, made of the comments in values.yaml.

`python charts/kvraft/tests/table.py` writes it anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

CHART = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- values: made by tests/table.py -->\n", "<!-- end of values -->\n"


class MissingCommentError(Exception):
    """A value says nothing about itself."""


def comment_above(lines: list[str], line: int) -> str:
    """Return the comment that ends right above a line."""
    found: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].strip().removeprefix("#").strip())
    return " ".join(found)


def speaks(node: yaml.Node, lines: list[str]) -> bool:
    """Return whether any part of a mapping says what it is."""
    if not isinstance(node, yaml.MappingNode):
        return False
    return any(
        comment_above(lines, key.start_mark.line) or speaks(value, lines)
        for key, value in node.value
    )


def rows(node: yaml.Node, lines: list[str], path: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield name, default and meaning of each value.

    A mapping whose parts say nothing is one value, which says what it is itself.
    """
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name = f"{path}{key.value}"
        text = comment_above(lines, key.start_mark.line)
        if speaks(value, lines):
            yield from rows(value, lines, f"{name}.")
            continue
        if not text:
            raise MissingCommentError(f"{name} has no comment in values.yaml")
        yield name, json.dumps(yaml.safe_load(yaml.serialize(value))), text


def table() -> str:
    """Return the table."""
    text = (CHART / "values.yaml").read_text()
    root = yaml.compose(text)
    if root is None:
        raise MissingCommentError("values.yaml is empty")
    made = ["| value | default | meaning |", "|---|---|---|"]
    for name, default, meaning in rows(root, text.splitlines()):
        told = meaning.replace("|", "\\|")
        made.append(f"| `{name}` | `{default}` | {told} |")
    return "\n".join(made) + "\n"


def with_table(readme: str) -> str:
    """Return the README with the table in its place."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    path = CHART / "README.md"
    path.write_text(with_table(path.read_text()))
