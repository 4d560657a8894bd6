"""The quick sweep, as ``make sweep`` runs it: the expert wins, what is broken loses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import wambench
from wambench.store import Store, episodes_frame

FILE = Path(__file__).parent.parent / "sweeps" / "quick.yaml"


@pytest.mark.slow
def test_the_expert_wins_and_broken_policies_lose(tmp_path: Path) -> None:
    run = tmp_path / "quick"
    result = wambench("sweep", FILE, "--out", run, timeout=1500)
    assert result.returncode == 0, result.stderr
    with Store.read(run) as store:
        frame = episodes_frame(store)
    assert len(frame) == 144 and set(frame["outcome"]) == {"success", "failure"}
    wins = frame["outcome"].eq("success").groupby(frame["policy"]).sum()
    print(f"\n{wins.to_dict()} of 36")
    assert wins["expert"] >= 34
    assert wins["noisy-expert"] < wins["expert"]
    assert wins["mirrored"] <= 4 and wins["random"] == 0

    report = wambench("report", run, timeout=600)
    assert report.returncode == 0, report.stderr
    page = (run / "report.html").read_text()
    assert len(page) < 5_000_000
    assert page.count("data:image/jpeg") >= 6 * 4, "frames of every policy"
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
