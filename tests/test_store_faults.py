"""What is stored stays stored: kill -9, full disks, read-only media."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CommandLine
from tests.records import grid, make_passport, make_record, make_run, plan_and_add
from wambench.store import STORE_NAME, Store

CELLS = grid(policies="p", tasks=20, init_states=30)

# Writes all cells, a line for each. FILE_LIMIT in bytes stands for a disk that is full.
WRITER = """
import os, resource, signal, sys
from pathlib import Path
from tests.records import *
from wambench.errors import UserError
CELLS = grid(policies="p", tasks=20, init_states=30)
if "FILE_LIMIT" in os.environ:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["FILE_LIMIT"]),) * 2)
try:
    with Store.write(Path(sys.argv[1])) as store:
        store.set_passport(make_passport())
        plan_and_add(store, CELLS, [])
        known = store.known()
        for cell in CELLS:
            if cell.key not in known:
                store.add_episode(make_record(cell))
                print(cell.key, flush=True)
except UserError as error:
    sys.exit(f"error: {error}")
"""


def start_writer(run: Path, **environment: str) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(run)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | environment,
    )
    assert writer.stdout is not None
    fcntl.fcntl(writer.stdout, fcntl.F_SETPIPE_SZ, 4096)  # it cannot run far ahead of its reader
    return writer


def check_intact(run: Path, reported: set[str]) -> set[str]:
    """Assert that the store is sound and holds what was reported; returns what is known."""
    with sqlite3.connect(run / STORE_NAME) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    with Store.read(run) as store:
        known = store.known()
        assert reported <= known
        for cell in CELLS:
            if cell.key in known:
                assert store.trace(cell.key).pack() == make_record(cell).trace.pack()
    return known


def test_killed_writer_loses_nothing_it_reported_and_goes_on(tmp_path: Path) -> None:
    run, reported = tmp_path / "run", set()
    for lines in (1, 150):
        with start_writer(run) as writer:
            assert writer.stdout is not None
            reported |= {writer.stdout.readline().strip() for _ in range(lines)}
            writer.kill()
            reported |= {line.strip() for line in writer.stdout if len(line) == 33}
        assert writer.returncode == -signal.SIGKILL
        assert len(check_intact(run, reported)) < len(CELLS), "it was killed in the middle"
    with start_writer(run) as writer:
        out, err = writer.communicate(timeout=60)
    assert (writer.returncode, err) == (0, "")
    again = set(out.split())
    assert not again & reported, "known cells are not run again"
    assert len(check_intact(run, reported | again)) == len(CELLS)
    with Store.read(run) as store:
        ended = [invocation["ended"] for invocation in store.invocations()]
        assert ended[:2] == [None] * 2 and ended[2].startswith("finished")


def check_full(run: Path, writer: subprocess.Popen[str]) -> None:
    """Assert that a writer ran out of space, said so, and lost nothing."""
    out, err = writer.communicate(timeout=60)
    assert writer.returncode == 1
    assert err.startswith("error: ") and err.count("\n") == 1
    assert str(run) in err and "space" in err and "nothing stored is lost" in err
    reported = set(out.split())
    assert 0 < len(reported) < len(CELLS)
    check_intact(run, reported)


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    run = tmp_path / "run"
    check_full(run, start_writer(run, FILE_LIMIT="500000"))
    writer = start_writer(run)
    writer.communicate(timeout=60)
    assert writer.returncode == 0, "with space again it goes on"
    assert len(check_intact(run, set())) == len(CELLS)


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid():
        pytest.skip("needs the right to mount")
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk(disk: Path) -> None:
    check_full(disk / "run", start_writer(disk / "run"))


def test_disk_full_from_the_start(disk: Path, wambench: CommandLine, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", CELLS[:2])
    with (disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError):
        while file.write(bytes(4096)):
            pass
    ended = wambench("merge", other, "--out", disk / "run")
    assert ended.code == 2 and ended.err.count("\n") == 1
    assert ended.err.startswith("error: ") and "space" in ended.err


@pytest.mark.parametrize("as_root", [True, False])
def test_read_only_run_can_be_read_and_not_written(
    tmp_path: Path, request: pytest.FixtureRequest, wambench: CommandLine, as_root: bool
) -> None:
    """Permissions do not bind root, so for root the medium itself is made read-only."""
    if as_root != (os.geteuid() == 0):
        pytest.skip("for the other kind of user")
    folder = request.getfixturevalue("disk") if as_root else tmp_path
    run, other = make_run(folder / "run", CELLS[:2]), make_run(tmp_path / "other", CELLS[2:4])
    with Store.read(run):
        pass  # leaves an empty -wal file
    if as_root:
        mount("-o", "remount,ro", str(folder))
    else:
        for path in run.iterdir():
            path.chmod(0o444)
        run.chmod(0o555)
    for arguments in (
        ("merge", other, "--out", run),
        ("merge", other, "--out", run / "new"),
    ):
        ended = wambench(*arguments)
        assert ended.code == 2 and ended.err.count("\n") == 1
        assert ended.err.startswith("error: ") and "choose another --out" in ended.err
        assert str(arguments[-1]) in ended.err
    ended = wambench("export", run, "--episodes", tmp_path / "episodes.csv")
    assert ended.code == 0, ended.err
    assert (tmp_path / "episodes.csv").read_text().count("\n") == 3
    ended = wambench("merge", run, other, "--out", tmp_path / "all")
    assert ended.code == 0, ended.err


def test_run_directory_below_a_file(tmp_path: Path, wambench: CommandLine) -> None:
    other = make_run(tmp_path / "other", CELLS[:2])
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file/run"):
        ended = wambench("merge", other, "--out", out)
        assert ended.code == 2 and ended.err.count("\n") == 1
        assert ended.err.startswith(f"error: cannot write to '{out}'")


def test_interrupted_writer_is_recorded_as_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Store.write(tmp_path / "run") as store:
        store.set_passport(make_passport())
        plan_and_add(store, CELLS[:3], CELLS[:2])
        raise KeyboardInterrupt
    with Store.read(tmp_path / "run") as store:
        assert len(store.known()) == 2
        assert store.invocations()[0]["ended"].startswith("stopped")
