"""Backups as files, and what is made of them."""

import io
from pathlib import Path
from typing import Any

import pytest

import kvraft

Map = kvraft.ReplicatedMap[bytes, bytes]


class Bar:
    """Counts as a bar of tqdm does."""

    def __init__(self) -> None:
        self.n = 0

    def update(self, n: int) -> None:
        self.n += n


def test_a_backup_is_restored_as_another_cluster(single: Map, tmp_path: Path) -> None:
    revision = single.put(b"k", b"v")
    file, bar = tmp_path / "monday.backup", Bar()
    info = single.backup(file, progress=bar)
    assert set(info) == set(kvraft.BackupInfo.__annotations__)
    assert (info["entries"], info["bytes"]) == (1, 2)
    assert info["revision"] >= revision
    assert bar.n == file.stat().st_size
    assert [path.name for path in tmp_path.glob("monday*")] == [file.name]

    made = kvraft.restore(str(file), tmp_path / "new", name="n1")
    assert set(made) == set(kvraft.Restored.__annotations__)
    assert made["cluster"] != info["cluster"]
    assert made["backup"] == info
    with kvraft.open(tmp_path / "new", name="n1") as opened:
        assert opened[b"k"] == b"v"
        assert opened.put(b"k", b"w") >= made["next_revision"]

    later = kvraft.restore(file, tmp_path / "later", name="n1", above=made["next_revision"])
    assert later["next_revision"] > made["next_revision"]


def test_a_backup_goes_into_an_open_file_too(single: Map) -> None:
    single.put(b"k", bytes(3 << 20))
    file = io.BytesIO()
    single.backup(file, consistency="local")
    assert len(file.getvalue()) > 3 << 20


def test_two_backups_to_one_name_are_each_whole(single: Map, tmp_path: Path) -> None:
    single.put(b"k", bytes(3 << 20))
    file = tmp_path / "kept"

    class Slow(Bar):
        def update(self, n: int) -> None:
            if not self.n:
                single.backup(file)
                assert kvraft.verify_backup(file)["is_sound"]
            super().update(n)

    single.backup(file, progress=Slow())
    assert kvraft.verify_backup(file)["is_sound"]
    assert [path.name for path in tmp_path.glob("kept*")] == ["kept"]


def test_a_backup_that_fails_leaves_no_file(single: Map, tmp_path: Path) -> None:
    class Full(Bar):
        def update(self, n: int) -> None:
            raise OSError(28, f"full after {n}")

    with pytest.raises(OSError, match="full"):
        single.backup(tmp_path / "kept", progress=Full())
    assert not list(tmp_path.glob("kept*"))
    with pytest.raises(FileNotFoundError):
        single.backup(tmp_path / "absent" / "kept")
    with pytest.raises(IsADirectoryError):
        single.backup(tmp_path)


def test_files_are_verified(single: Map, tmp_path: Path) -> None:
    single.put(b"k", b"v")
    file = tmp_path / "kept"
    single.backup(file)
    sound = kvraft.verify_backup(file)
    assert set(sound) == set(kvraft.Verified.__annotations__)
    assert (sound["is_sound"], sound["counts"]["entries"], sound["damage"]) == (True, 1, [])
    file.write_bytes(file.read_bytes()[:100])
    cut = kvraft.verify_backup(file)
    assert not cut["is_sound"]
    assert cut["damage"]
    with pytest.raises(kvraft.CorruptError):
        kvraft.restore(file, tmp_path / "new", name="n")
    with pytest.raises(kvraft.RefusedError):
        kvraft.verify_data_dir(tmp_path / "single")
    single.close()
    assert kvraft.verify_data_dir(tmp_path / "single")["is_sound"]


def test_a_quorum_is_recovered_from_one_node(single: Map, tmp_path: Path) -> None:
    single.put(b"k", b"v")
    single.close()
    made = kvraft.recover_quorum(tmp_path / "single", tmp_path / "new")
    assert made["name"] == "single"
    assert made["last"] >= made["committed"]
    with kvraft.open(tmp_path / "new", name="single") as opened:
        assert opened[b"k"] == b"v"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: kvraft.restore(7, "x", name="n"), TypeError),  # type: ignore[arg-type]
        (lambda: kvraft.restore("x", "y", name=7), TypeError),  # type: ignore[arg-type]
        (lambda: kvraft.verify_backup(7), TypeError),  # type: ignore[arg-type]
        (lambda: kvraft.restore("x", "y", name="n", above=-1), kvraft.InvalidArgumentError),
        (lambda: kvraft.restore("x", "y", name="a b"), kvraft.InvalidArgumentError),
        (lambda: kvraft.verify_backup("/nonexistent"), kvraft.StorageError),
        (lambda: kvraft.verify_data_dir("/nonexistent"), kvraft.StorageError),
        (lambda: kvraft.recover_quorum("/nonexistent", "x"), kvraft.RefusedError),
    ],
)
def test_what_cannot_be_done_says_why(
    call: Any, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        call()
