"""The quick sweep, as ``make sweep`` runs it: what works is told from what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.running import wambench
from wambench.store import Store, episodes_frame

FILE = Path(__file__).parent.parent / "sweeps" / "quick.yaml"
COPY = "nano-pi0, a copy"
SAMPLE = ("nano-pi0", "expert", "mirrored")


@pytest.mark.slow
def test_what_works_is_told_from_what_is_broken(tmp_path: Path, sample: bool) -> None:
    plan = yaml.safe_load(FILE.read_text())
    if sample:
        plan["policies"] = [name for name in plan["policies"] if name in SAMPLE]
        plan["suites"] = dict.fromkeys(plan["suites"], "0-4")
        # Who needs longer than that has failed.
        plan["protocol_changes"] = {"max_steps": dict.fromkeys(plan["suites"], 250)}
    else:
        plan["policies"].append({"name": "nano-pi0", "label": COPY})
    each = 10 if sample else 14  # cells of a policy
    policies = len(plan["policies"])
    file, run = tmp_path / "quick.yaml", tmp_path / "quick"
    file.write_text(yaml.safe_dump(plan))
    result = wambench("sweep", file, "--out", run, timeout=2400)
    assert result.returncode == 0, result.stderr
    with Store.read(run) as store:
        frame = episodes_frame(store)
    assert len(frame) == len(plan["policies"]) * each and set(frame["outcome"]) == {
        "success",
        "failure",
    }
    wins = frame["outcome"].eq("success").groupby(frame["policy"]).sum()
    print(f"\n{wins.to_dict()} of {each}")
    assert wins["expert"] >= each - 1
    broken = [name for name in ("mirrored", "random") if name in plan["policies"]]
    assert broken and all(wins[name] <= 1 for name in broken)
    assert wins["nano-pi0"] > each // 2 and wins.get(COPY) in (None, wins["nano-pi0"])

    told = wambench("report", run, "--json", timeout=600)
    assert told.returncode == 0, told.stderr
    tables = json.loads(told.stdout)
    verdicts = {
        (row["first"], row["second"]): row["verdict"]["kind"] for row in tables["comparisons"]
    }
    for name in broken:
        assert verdicts["nano-pi0", name] == "better"
        assert verdicts["expert", name] == "better"
    if not sample:
        (copy,) = (row["found"] for row in tables["variants"] if row["found"]["first"] == COPY)
        assert copy["verdict"]["kind"] in ("equivalent", "undecided")
        assert copy["found"]["only_first"] == copy["found"]["only_second"] == 0

    page = (run / "report.html").read_text()
    assert len(page) < 5_000_000
    assert page.count("data:image/jpeg") >= (policies - 2) * 4, "frames of every policy"
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
