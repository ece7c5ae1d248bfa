"""The exceptions, held to the table that all languages share."""

import pickle
import tomllib
from pathlib import Path

import pytest

import kvraft
from kvraft import _errors

TABLE = Path(__file__).parents[2] / "kvraft" / "testdata" / "errors.toml"
ERRORS = tomllib.loads(TABLE.read_text())["error"]
BUILTINS = {
    "InvalidArgumentError": ValueError,
    "UnavailableError": TimeoutError,
    "IndeterminateError": TimeoutError,
    "UnauthorizedError": PermissionError,
}


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row["kind"])
def test_a_kind_becomes_its_exception(row: dict[str, str]) -> None:
    error = _errors.of_kind(row["kind"], "what to do", 7)
    assert type(error) is getattr(kvraft, row["python"])
    assert (error.kind, error.revision, str(error)) == (row["kind"], 7, "what to do")
    assert isinstance(error, BUILTINS.get(row["python"], kvraft.KvraftError))


def test_no_exception_stands_outside_of_the_table() -> None:
    classes = {error.__name__ for error in kvraft.KvraftError.__subclasses__()}
    assert classes == {row["python"] for row in ERRORS}
    assert classes < set(kvraft.__all__)


def test_a_kind_of_a_later_version_becomes_the_base() -> None:
    assert type(_errors.of_kind("brand_new", "x", None)) is kvraft.KvraftError


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row["kind"])
def test_an_exception_survives_pickling(row: dict[str, str]) -> None:
    error = _errors.of_kind(row["kind"], "x", 7)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), copy.args, copy.revision) == (type(error), ("x",), 7)
    assert type(error).__module__ == "kvraft"
