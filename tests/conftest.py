"""The option --sample, and fixtures: packages of strangers, the toy suite, commands, refusals."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugin import TOY, Entries, write_package
from tests.real import (  # noqa: F401  (fixtures)
    SharedRay,
    copy,
    shared_ray,
    small_run,
    watched_runs,
)
from wambench import plugins
from wambench.cli import main
from wambench.suite import Suite


def pytest_addoption(parser: pytest.Parser) -> None:
    about = "run long property tests (mark slow) on a smaller fixed sample, as .ci/run does"
    parser.addoption("--sample", action="store_true", help=about)


@pytest.fixture(scope="session")
def sample(pytestconfig: pytest.Config) -> bool:
    """Whether a smaller fixed sample will do; else the full size, for releases."""
    return bool(pytestconfig.getoption("--sample"))


@pytest.fixture
def full_size_only(sample: bool) -> None:
    """Leave a test out of the smaller sample."""
    if sample:
        pytest.skip("at full size only")


SITE = "site-packages"  # in a test's folder: what the test has installed
Install = Callable[[str, Mapping[str, str], Entries], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package (name, modules, entry points) for this process and its children."""
    site = tmp_path / SITE
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))

    def install(name: str, modules: Mapping[str, str], entry_points: Entries) -> None:
        write_package(site, name, modules, entry_points)

    yield install
    plugins.make_suite.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(site)):
            del sys.modules[name]


@pytest.fixture
def toy(install: Install) -> Suite:
    """The toy suite, installed as package ``toybench`` under the name ``toy``."""
    install("toybench", {"toybench.py": TOY}, {plugins.SUITES: {"toy": "toybench:ToySuite"}})
    return plugins.make_suite("toy")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


CommandLine = Callable[..., Ended]


@pytest.fixture
def wambench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    """Run ``wambench ARGUMENTS`` in this process."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["wambench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else int(bool(code)), *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def swept(
    wambench: CommandLine,
    shared_ray: SharedRay,  # noqa: F811
    tmp_path: Path,
) -> CommandLine:
    """Run a sweep in this process: sweep file, its content, run directory, options."""
    shared_ray.find_packages_in(tmp_path / SITE)

    def run(file: Path, content: Mapping[str, Any], out: Path, *options: object) -> Ended:
        file.write_text(yaml.safe_dump(dict(content)))
        return wambench("sweep", file, "--out", out, "--ray-address", shared_ray.address, *options)

    return run


def tree(folder: Path) -> dict[str, str]:
    """Everything below a folder, with hashes; but for what SQLite's readers leave."""
    return {
        str(path): hashlib.blake2b(path.read_bytes()).hexdigest() if path.is_file() else "-"
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm"))
    }


Refused = Callable[..., Ended]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def refused(
    work: Path, toy: object, wambench: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Refused]:
    """Run a command; asserts that it is refused in one line and that nothing happened."""

    def no_ray(*_: object, **__: object) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr("ray.init", no_ray)

    def run(*arguments: object, expected: tuple[str, ...]) -> Ended:
        before = tree(work)
        ended = wambench(*arguments)
        check_refusal(ended.code, ended.out, ended.err, expected)
        assert tree(work) == before, "nothing may be written"
        return ended

    yield run


def check_refusal(code: int, out: str, err: str, expected: tuple[str, ...]) -> None:
    """Assert exit code 2 and one line on stderr alone that holds all of ``expected``."""
    assert (code, out) == (2, ""), err
    assert err.startswith("error: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert "Traceback" not in err and len(err) < 700
    for part in expected:
        assert part in err, f"{part!r} is not in {err!r}"
