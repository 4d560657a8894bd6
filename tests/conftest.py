"""Fixtures: packages of strangers, the toy suite, and the command line in this process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plugin import TOY, Entries, write_package
from wambench import plugins
from wambench.cli import main
from wambench.suite import Suite

Install = Callable[[str, Mapping[str, str], Entries], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package (name, modules, entry points) for this process and its children."""
    site = tmp_path / "site-packages"
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
