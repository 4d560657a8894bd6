"""What is installed from a wheel can do what a checkout can."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("wambench", "baselines", "tasks", "analysis", "results/published", "sweeps")


@pytest.mark.slow
def test_a_wheel_judges_the_claims_and_names_its_sweep_files(tmp_path: Path, sample: bool) -> None:
    """The sample: that the claims are found, not all that is counted to judge them."""
    source, installed = tmp_path / "source", tmp_path / "installed"
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(tmp_path), str(source)],
        check=True, timeout=300,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    (data,) = installed.glob("*.data/data/share")
    code = (
        "import sys, sysconfig\n"
        "data = sys.argv.pop(1)\n"
        "real = sysconfig.get_path\n"
        "sysconfig.get_path = lambda name, *a: data if name == 'data' else real(name, *a)\n"
        "import wambench; assert 'installed' in wambench.__file__\n"
        "from wambench.cli import main; main()"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, str(data.parent), *arguments],
            capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(installed)},
        )  # fmt: skip

    if sample:
        assert (data / "wambench" / "results" / "published" / "claims.json").is_file()
    else:
        claims = run("audit", "claims")
        assert claims.returncode == 0, claims.stderr
        assert claims.stdout.count("\n") > 10
    missing = run("sweep", "nothing.yaml", "--out", "run")
    assert missing.returncode == 2
    named = missing.stderr.strip().rsplit(" ", 1)[-1]
    assert (tmp_path / named).is_file() and "share/wambench/sweeps" in named
