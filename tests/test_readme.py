"""Every example of the documents works as it stands, and the reader of examples misses none."""

import contextlib
import os
import select
from pathlib import Path

import pytest

import readme
from readme import Example, ExampleError

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    path for path in (ROOT / "README.md", ROOT / "charts/kvraft/README.md") if path.exists()
]
PROGRAMS = Path(os.environ.get("KVRAFT_SERVER", ROOT / "target/debug/kvraft-server")).parent


def of_documents() -> dict[str, Example]:
    """Return the examples of all documents whose marks are sound, with a name for each."""
    found = {}
    for path in DOCUMENTS:
        with contextlib.suppress(ExampleError):
            for example in readme.examples(path.read_text()):
                found[f"{path.relative_to(ROOT)}:{example.name}"] = example
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_of_a_document_is_marked(path: Path) -> None:
    readme.examples(path.read_text())


@pytest.mark.parametrize("name", of_documents())
def test_a_documented_example_works(name: str, tmp_path: Path) -> None:
    readme.run(of_documents()[name], tmp_path, PROGRAMS)


def test_blocks_of_one_name_are_one_example() -> None:
    text = (
        "<!-- test: a -->\n```sh\nx=1\n```\n\ntext\n\n<!-- test: a -->\n\n```sh\ntest $x = 1\n```\n"
    )
    assert readme.examples(text) == [Example("a", "sh", "x=1\ntest $x = 1\n")]


def test_a_block_that_is_not_to_be_run_says_why() -> None:
    assert readme.examples("<!-- not run: needs a cluster -->\n```sh\nhelm install\n```\n") == []


def test_blocks_in_other_languages_need_no_mark() -> None:
    assert readme.examples("```rust\nfn main() {}\n```\n```\nplain\n```\n```text\n```\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "```sh\ntrue\n```\n",
        "<!-- test: a -->\ntext\n```sh\ntrue\n```\n",
        "<!-- test: a -->\n```rust\n```\n",
        "<!-- test: a -->\n```sh\n```\n<!-- test: a -->\n```python\n```\n",
    ],
    ids=[
        "no mark",
        "mark without a block",
        "mark before another language",
        "one name, two languages",
    ],
)
def test_a_badly_marked_block_is_a_fault(text: str) -> None:
    with pytest.raises(ExampleError):
        readme.examples(text)


def test_an_example_runs_in_its_folder_and_stops_at_the_first_fault(tmp_path: Path) -> None:
    assert readme.run(Example("a", "sh", "pwd\n"), tmp_path, tmp_path).strip() == str(tmp_path)
    with pytest.raises(ExampleError, match="exit code 1"):
        readme.run(Example("a", "sh", "false\ntrue\n"), tmp_path, tmp_path)


def test_a_transcript_is_held_to_what_was_written(tmp_path: Path) -> None:
    text = "echo before\nprintf 'one\\ntwo'\n#> one\n#> t…\necho three\n#> three\necho four\n"
    assert readme.run(Example("a", "sh", text), tmp_path, tmp_path) == (
        "before\none\ntwothree\nfour\n"
    )
    with pytest.raises(ExampleError, match="wanted"):
        readme.run(Example("a", "sh", "echo one\n#> two\n"), tmp_path, tmp_path)


def test_what_an_example_leaves_running_is_ended(tmp_path: Path) -> None:
    text = "sleep 600 &\necho $!\n"
    child = int(readme.run(Example("a", "sh", text), tmp_path, tmp_path))
    try:
        watch = os.pidfd_open(child)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([watch], [], [], 10)
    os.close(watch)
    assert ended


def test_an_example_finds_the_binaries_on_its_path(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kvraft-told").symlink_to("/bin/true")
    readme.run(Example("a", "sh", "kvraft-told\n"), tmp_path, programs)


def test_python_and_c_examples_run_too(tmp_path: Path) -> None:
    assert readme.run(Example("a", "python", "print(40 + 2)\n"), tmp_path, tmp_path) == "42\n"
    # An archive without members stands in for the library that C examples are linked with.
    (tmp_path / "libkvraft.a").write_bytes(b"!<arch>\n")
    program = '#include <stdio.h>\nint main(void) { puts("42"); return 0; }\n'
    assert readme.run(Example("a", "c", program), tmp_path, tmp_path) == "42\n"
