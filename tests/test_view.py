"""wambench view: its pages say what stores hold; it reads nothing else and writes nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from analysis.attention import page as attention_page
from analysis.viewing import artists as artists_module
from analysis.viewing.artists import Artists
from analysis.viewing.choosing import ROWS
from analysis.viewing.drawing import SIDE
from analysis.viewing.site import Site
from tests import big_run, whole_run
from tests.conftest import TOY, CommandLine, Install, Refused
from tests.pages import faults
from tests.records import grid, make_cell, make_record, make_run
from tests.running import COMMAND
from tests.test_report import good_passport, write_run
from wambench import plugins
from wambench.cells import Cell
from wambench.store import STORE_NAME, Store, StoredCell, lighten
from wambench.suite import Suite

SERVED = re.compile(r"<(link|script|img|form|input)> needs ")


@pytest.fixture
def artists() -> Iterator[Artists]:
    artists = Artists()
    yield artists
    artists.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, of which one is deeper and has its failures explained."""
    folder = tmp_path / "all"
    whole_run.make(folder / "deep" / "whole")
    write_run(folder / "two", {"expert": "ssssssssssss", "odd": "sefeffsss.ff"}, good_passport())
    return folder


@pytest.fixture
def client(folder: Path, artists: Artists) -> TestClient:
    return client_of(folder, artists)


def client_of(folder: Path, artists: Artists) -> TestClient:
    return TestClient(Site(folder, artists).app(), base_url="http://127.0.0.1:8010")


def stored(run: Path) -> list[StoredCell]:
    with Store.read(run, leave_nothing=True) as store:
        return list(store.cells())


def links(text: str) -> list[str]:
    """Addresses of the episodes that a page lists."""
    return [html.unescape(one) for one in re.findall(r'<a href="(episode\?[^"]+)"', text)]


def every_byte(folder: Path) -> dict[str, str]:
    """Everything below a folder, SQLite's own files too."""
    return {
        str(path): hashlib.blake2b(path.read_bytes()).hexdigest() if path.is_file() else "-"
        for path in folder.rglob("*")
    }


def with_style(client: TestClient, text: str) -> str:
    """A page as it looks: with its style sheet in it."""
    style = client.get("/view.css").text
    return text.replace('<link rel="stylesheet" href="view.css">', f"<style>{style}</style>")


# -- the list ----------------------------------------------------------------------------------


def test_the_list_holds_every_cell_once(client: TestClient, folder: Path) -> None:
    expected = [
        ("deep/whole", one.cell.key) for one in stored(folder / "deep" / "whole")
    ] + [("two", one.cell.key) for one in stored(folder / "two")]  # fmt: skip
    assert len(expected) > 2 * ROWS
    found, page = [], 1
    while True:
        text = client.get("/", params={"page": page}).text
        assert f"{len(expected)} cells" in text
        for link in links(text):
            asked = dict(re.findall(r"[?&](of|key)=([^&]*)", link))
            found.append((asked["of"].replace("%2F", "/"), asked["key"]))
        if 'rel="next"' not in text:
            break
        page += 1
    assert found == expected


@pytest.mark.parametrize("outcome", ["success", "failure", "policy_error", "missing"])
@pytest.mark.parametrize("policy", ["", "odd", "learned"])
@pytest.mark.parametrize("task", ["", "toy/1"])
def test_filters_are_those_of_the_store(
    client: TestClient, folder: Path, outcome: str, policy: str, task: str
) -> None:
    every = stored(folder / "deep" / "whole") + stored(folder / "two")
    expected = [
        one.cell.key
        for one in every
        if (one.outcome or "missing") == outcome
        and policy in ("", one.cell.policy)
        and task in ("", f"{one.cell.suite}/{one.cell.task_index}")
    ]
    text = client.get("/", params={"outcome": outcome, "policy": policy, "task": task}).text
    shown = [re.search("key=([^&]*)", link) for link in links(text)]
    assert [one[1] for one in shown if one] == expected[:ROWS]
    if expected:
        assert f"{len(expected)} cell" in text
    else:
        assert "No episode fits" in text


def test_kinds_of_failure_are_those_that_were_kept(client: TestClient, folder: Path) -> None:
    kept = json.loads((folder / "deep" / "whole" / "failures.json").read_text())
    counted = Counter(row["label"] for row in kept["episodes"])
    assert len(counted) >= 4
    for kind, count in counted.items():
        found = links(client.get("/", params={"run": "deep/whole", "kind": kind}).text)
        keys = {row["key"] for row in kept["episodes"] if row["label"] == kind}
        assert len(found) == min(count, ROWS)
        assert all(any(key in link for key in keys) for link in found)
    unexplained = client.get("/", params={"kind": "not explained yet"}).text
    failed = [one for one in stored(folder / "two") if one.outcome == "failure"]
    assert len(links(unexplained)) == len(failed) > 0
    assert f"wambench failures {folder / 'two'}" in unexplained
    lost = links(client.get("/", params={"run": "deep/whole", "kind": "infrastructure"}).text)
    missing = [one for one in stored(folder / "deep" / "whole") if one.outcome is None]
    assert len(lost) == len(missing) > 0


@pytest.mark.parametrize("kept", ["{", "[]", '{"episodes": 5}', '{"episodes": [{}]}', "[" * 9999])
def test_failures_that_cannot_be_read_are_not_explained(
    client: TestClient, folder: Path, kept: str
) -> None:
    (folder / "two" / "failures.json").write_text(kept)
    answer = client.get("/", params={"run": "two", "outcome": "failure"})
    assert answer.status_code == 200 and "not explained yet" in answer.text


def test_one_leafs_through_what_was_filtered(client: TestClient) -> None:
    """Next and previous follow the list, over the border of runs."""
    expected = links(client.get("/", params={"policy": "expert"}).text)
    assert len(expected) == 24 and len({re.search("of=([^&]*)", x)[1] for x in expected}) == 2  # type: ignore[index]
    for rel, order in (("next", expected), ("prev", expected[::-1])):
        at: str | None = order[0]
        walked = []
        while at:
            walked.append(at)
            text = client.get(f"/{at}").text
            found = re.search(f'rel="{rel}" href="([^"]*)"', text)
            at = html.unescape(found[1]) if found else None
        assert walked == order


def test_pages_are_valid_and_legible(client: TestClient, folder: Path, toy: Suite) -> None:
    failed = next(one for one in stored(folder / "two") if one.outcome == "failure")
    one, two = (
        next(s.cell.key for s in stored(folder / "two")
             if s.cell.place == (label, *failed.cell.place[1:]))
        for label in ("expert", "odd")
    )  # fmt: skip
    for address in (
        "/", "/?outcome=failure&run=deep%2Fwhole", "/?kind=nonsense", "/?page=3",
        f"/episode?of=two&key={one}", f"/episode?of=two&key={two}&beside={one}@two",
        "/episode?of=gone&key=x", "/nowhere",
    ):  # fmt: skip
        text = with_style(client, client.get(address).text)
        assert [line for line in faults(text) if not SERVED.search(line)] == [], address
        assert "<script>alert" not in text, "a fault's text is told, not obeyed"


# -- an episode --------------------------------------------------------------------------------


def test_a_frame_is_the_stored_moment(
    client: TestClient, folder: Path, toy: Suite, artists: Artists
) -> None:
    one = next(
        s for s in stored(folder / "two") if s.cell.suite == "toy" and s.outcome == "success"
    )
    with Store.read(folder / "two", leave_nothing=True) as store:
        snapshots = store.trace(one.cell.key).snapshots
    assert len(snapshots) == one.steps + 1 if one.steps else False
    for step in (0, len(snapshots) - 1):
        asked = {"of": "two", "key": one.cell.key, "step": step, "camera": "agentview"}
        answer = client.get("/frame", params=asked)
        assert answer.status_code == 200, answer.text
        picture = np.asarray(Image.open(io.BytesIO(answer.content)), np.int64)
        assert picture.shape == (SIDE, SIDE, 3)
        for value, channel in zip(snapshots[step], (0, 1), strict=True):
            expected = int(np.clip((value + 1) / 2, 0, 1) * (SIDE - 1))
            column = picture[: SIDE // 4, :, channel].sum(axis=0).argmax()
            assert abs(column - expected) <= 2, "a JPEG smears a pixel"
    beyond = asked | {"step": len(snapshots)}
    assert client.get("/frame", params=beyond).status_code == 404
    assert client.get("/frame", params=asked | {"camera": "wrist"}).status_code == 404


def test_two_policies_side_by_side_are_on_the_same_cell(
    client: TestClient, folder: Path, toy: Suite
) -> None:
    cells = {one.cell.place: one.cell for one in stored(folder / "two") if one.outcome}
    mine = cells["odd", "toy", 0, 0, 0]
    text = client.get("/episode", params={"of": "two", "key": mine.key}).text
    offered = re.findall(r'<option value="([0-9a-f]+)@([^"]*)"', text)
    same = {
        (one.cell.key, run)
        for run in ("two", "deep/whole")
        for one in stored(folder / run)
        if one.outcome and one.cell.place[1:] == mine.place[1:]
    } - {(mine.key, "two")}  # fmt: skip
    assert set(offered) == same and len(offered) == len(same) > 5
    theirs, elsewhere = cells["expert", "toy", 0, 0, 0], cells["expert", "toy", 0, 1, 0]
    asked = {"of": "two", "key": mine.key, "beside": f"{theirs.key}@two"}
    shown = client.get("/episode", params=asked).text
    assert len(re.findall("data-frame=", shown)) == 2
    refused = client.get("/episode", params=asked | {"beside": f"{elsewhere.key}@two"})
    assert refused.status_code == 404 and "not of the same cell" in refused.text


def test_the_commands_are_those_that_do_it(
    client: TestClient, folder: Path, toy: Suite, wambench: CommandLine, work: Path
) -> None:
    one = next(
        s.cell for s in stored(folder / "deep" / "whole")
        if s.cell.policy == "third <&>" and s.cell.suite == "toy" and s.outcome == "success"
    )  # fmt: skip
    text = client.get("/episode", params={"of": "deep/whole", "key": one.key}).text
    text += client.get("/", params={"run": "two"}).text
    codes = {html.unescape(code) for code in re.findall("<code>(wambench .*?)</code>", text)}
    commands = [shlex.split(code) for code in codes]
    assert {words[1] for words in commands} == {"video", "replay", "runs", "report", "failures"}
    for words in commands:
        if words[1] in ("video", "runs"):
            ended = wambench(*words[1:])
            assert ended.code == 0, ended.err
        else:
            assert Path(words[2]).is_dir()
    (film,) = (work / "films").iterdir()
    assert film.name.endswith(f"-toy-{one.task_index}-{one.init_state}-0.mp4")


def test_a_run_without_courses_says_so(
    tmp_path: Path, folder: Path, toy: Suite, artists: Artists
) -> None:
    lighten(folder / "two", tmp_path / "light" / "run")
    client = client_of(tmp_path / "light", artists)
    (link, *_) = links(client.get("/", params={"task": "toy/0", "outcome": "success"}).text)
    assert client.get(f"/{link}").status_code == 200
    answer = client.get(f"/{link.replace('episode', 'frame')}&step=0&camera=agentview")
    assert answer.status_code == 404 and "kept without the courses" in answer.text


def test_what_is_not_installed_is_told(client: TestClient, folder: Path) -> None:
    one = next(s for s in stored(folder / "two") if s.cell.suite == "elsewhere" and s.outcome)
    text = client.get("/episode", params={"of": "two", "key": one.cell.key}).text
    assert "unknown suite" in text and "data-frame" not in text


# -- what policies read --------------------------------------------------------------------------


def make_study(client: TestClient, folder: Path, cell: Cell) -> dict[str, str]:
    """A study of this very episode, decided at steps 0 and 4, all of it at the top right.

    Returns what asks for a frame under it.
    """
    asked = {"of": "two", "key": cell.key, "camera": "agentview"}
    levels = np.full((2, 2, 2, 4), 128, np.uint8)  # moments, layers + 1, heads + 1, tokens
    levels[:, 0, 0, 1] = 255
    pictures = [client.get("/frame", params={**asked, "step": step}).content for step in (0, 4)]
    encoded = ["data:image/jpeg;base64," + base64.b64encode(one).decode() for one in pictures]
    grid = {"rows": 2, "columns": 2, "edges": [0, 0, 1, 1]}
    data = {
        "place": {"suite": cell.suite, "task": cell.task, "init_state": cell.init_state, "seed": 0},
        "steps": [0, 4], "pictures": {"agentview": encoded}, "colours": attention_page._colours(),
        "policies": [
            {"name": "starer", "cameras": {"agentview": grid}, "layers": 1, "heads": 1,
             "levels": base64.b64encode(levels.tobytes()).decode()},
        ],
    }  # fmt: skip
    (folder / "study").mkdir()
    page = f'<script type="application/json" id="data">{json.dumps(data)}</script>'
    (folder / "study" / "attention.html").write_text(page)
    (folder / "study" / "manifest.json").write_text('{"command": "wambench attention …"}')
    return asked | {"reads": "starer@study"}


def long_and_other(folder: Path) -> tuple[Cell, Cell]:
    """A cell of more than eight steps, and another policy's on the same place."""
    cells = {one.cell.place: one for one in stored(folder / "two") if one.cell.suite == "toy"}
    for place, one in cells.items():
        other = cells["odd", *place[1:]]
        if place[0] == "expert" and (one.steps or 0) > 8 and other.steps:
            return one.cell, other.cell
    raise AssertionError("all are short")


def test_what_is_read_lies_over_the_frames_that_the_study_saw(
    client: TestClient, folder: Path, install: Install
) -> None:
    wide = TOY.replace("column, channel] = 255", "column : column + 8, channel] = 255")
    assert wide != TOY, "a line of one pixel is too little to tell two pictures apart"
    install("toybench", {"toybench.py": wide}, {plugins.SUITES: {"toy": "toybench:ToySuite"}})
    cell, other = long_and_other(folder)
    asked = make_study(client, folder, cell)
    page = client.get("/episode", params={"of": "two", "key": cell.key}).text
    assert '<option value="starer@study"' in page and "wambench attention …" in page
    plain = {name: value for name, value in asked.items() if name != "reads"}

    def picture(params: dict[str, str], step: int) -> Any:
        answer = client.get("/frame", params={**params, "step": step})
        assert answer.status_code == 200
        return np.asarray(Image.open(io.BytesIO(answer.content)), np.int64), answer.headers

    half = SIDE // 2
    for step in (0, 3, 4, 7):
        (before, _), (after, headers) = picture(plain, step), picture(asked, step)
        assert "note" not in headers
        changed = np.abs(after - before)
        assert changed[:half, half:].mean() > 50
        assert changed[half:].max() < 40 and changed[:half, : half - 8].mean() < 5
        red, _, blue = after[: half - 8, half + 8 :].reshape(-1, 3).mean(axis=0)
        assert red > blue, "orange"
    after, headers = picture(asked, 8)
    assert "does not go as far" in unquote(headers["note"])
    assert (after == picture(plain, 8)[0]).all()
    strange = asked | {"key": other.key}
    after, headers = picture(strange, 0)
    assert "another picture" in unquote(headers["note"])
    assert (after == picture({**plain, "key": other.key}, 0)[0]).all()
    for reads in ("nobody@study", "starer@../study", "starer", "@"):
        assert "no study" in unquote(picture({**asked, "reads": reads}, 0)[1]["note"])


@pytest.mark.parametrize(
    "page",
    ["", "<p>", '<script type="application/json" id="data">{</script>', "\x00",
     '<script type="application/json" id="data">{"place": {"suite": "toy"}}</script>',
     '<script type="application/json" id="data">[1]</script>'],
)  # fmt: skip
def test_what_is_no_study_is_not_offered(client: TestClient, folder: Path, page: str) -> None:
    (folder / "study").mkdir()
    (folder / "study" / "attention.html").write_text(page)
    (folder / "study" / "manifest.json").write_text('{"command": "c"}')
    cell = next(one.cell for one in stored(folder / "two") if one.outcome)
    answer = client.get("/episode", params={"of": "two", "key": cell.key})
    assert answer.status_code == 200 and 'id="reads"' not in answer.text


# -- processes ---------------------------------------------------------------------------------


def frames_of(client: TestClient, folder: Path) -> dict[int, str]:
    """Task of the toy suite -> the address of a frame of it."""
    cells = [one.cell for one in stored(folder / "two") if one.outcome == "success"]
    return {
        cell.task_index: f"/frame?of=two&key={cell.key}&step=0&camera=agentview"
        for cell in cells
        if cell.suite == "toy"
    }


def test_there_are_few_processes_and_none_at_the_end(folder: Path, toy: Suite) -> None:
    artists = Artists(processes=1)
    client = client_of(folder, artists)
    first, second = frames_of(client, folder).values()
    drawn = [client.get(address).content for address in (first, second, first)]
    assert drawn[0] == drawn[2] != b""
    (artist,) = artists._artists.values()
    spare = artists._spare
    assert spare is not None
    processes = [artist._process, spare._process]
    assert all(process.is_alive() for process in processes)
    artists.close()
    assert not any(process.is_alive() for process in processes)
    assert client.get(second.replace("step=0", "step=1")).status_code == 404, (
        "none is made any more"
    )


def test_frames_are_kept_in_bounds(folder: Path, toy: Suite) -> None:
    one = next(s.cell for s in stored(folder / "two") if s.cell.suite == "toy" and s.steps)
    artists = Artists(kept_bytes=4000)
    client = client_of(folder, artists)
    try:
        for step in (0, 1, 2, 0):
            asked = {"of": "two", "key": one.key, "step": step, "camera": "agentview"}
            assert client.get("/frame", params=asked).status_code == 200
        kept = list(artists._frames.values())
        assert sum(map(len, kept)) == artists._bytes <= 4000
    finally:
        artists.close()


def test_a_process_that_dies_is_told_and_replaced(
    client: TestClient, folder: Path, toy: Suite, artists: Artists
) -> None:
    address, *_ = frames_of(client, folder).values()
    assert client.get(address).status_code == 200
    (artist,) = artists._artists.values()
    artist._process.kill()
    artist._process.join()
    artists._frames.clear()
    answer = client.get(address)
    assert answer.status_code == 404 and "is gone" in answer.text
    assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError('no disk')", "OSError: no disk"),
        ("import os; os._exit(7)", "is gone"),
        ("import time; time.sleep(600)", "no answer"),
    ],
)
def test_a_broken_simulator_is_told_in_one_line(
    client: TestClient, folder: Path, install: Install, monkeypatch: pytest.MonkeyPatch,
    code: str, said: str,
) -> None:  # fmt: skip
    broken = TOY.replace("self.looks.append(cameras)", code)
    assert broken != TOY
    install("toybench", {"toybench.py": broken}, {plugins.SUITES: {"toy": "toybench:ToySuite"}})
    monkeypatch.setattr(artists_module, "PATIENCE_S", 20.0)
    if "sleep" in code:
        monkeypatch.setattr(artists_module, "PATIENCE_S", 5.0)
    address, *_ = frames_of(client, folder).values()
    answer = client.get(address)
    assert answer.status_code == 404 and said in answer.text and "\n" not in answer.text


# -- who asks, and for what --------------------------------------------------------------------


def test_only_names_of_this_machine_are_answered(folder: Path, artists: Artists) -> None:
    """A page elsewhere whose name is made to point here reads nothing."""
    app = Site(folder, artists).app()
    for host, status in (
        ("127.0.0.1:8010", 200), ("localhost:8010", 200), ("localhost", 200),
        ("evil.example", 400), ("127.0.0.1.evil.example", 400), ("", 400),
    ):  # fmt: skip
        answer = TestClient(app).get("/", headers={"Host": host})
        assert answer.status_code == status, host
        assert ("deep/whole" in answer.text) == (status == 200)


def test_nothing_but_pages_is_served(client: TestClient, folder: Path) -> None:
    (folder / "secret.txt").write_text("secret")
    outside = make_run(folder.parent / "outside", grid())
    key = stored(outside)[0].cell.key
    for run in ("../outside", str(outside), "deep/whole/../../../outside", ".", "", "two/", "\x00"):
        for page in ("episode", "frame", "why"):
            asked = {"of": run, "key": key, "step": 0, "camera": "agentview"}
            answer = client.get(f"/{page}", params=asked)
            assert answer.status_code == 404 and "Traceback" not in answer.text
    for path in ("/../secret.txt", "/secret.txt", "/%2e%2e/secret.txt", "/two/run.sqlite",
                 "/view.css/../secret.txt", "//etc/passwd", "/a/../../secret.txt"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 404 and answer.text.startswith("<!doctype html>")
    assert client.post("/").status_code == 405
    good = stored(folder / "two")[0].cell.key
    for odd in ("' OR 1=1 --", "%", "*", good.upper() + "x", "\ud7ff", good[:-1]):
        assert client.get("/episode", params={"of": "two", "key": odd}).status_code == 404
    for name, value in (("step", "-1"), ("step", "9" * 30), ("step", "²"), ("camera", "../x")):
        asked = {"of": "two", "key": good, "step": "0", "camera": "agentview"} | {name: value}
        assert client.get("/frame", params=asked).status_code == 404
    for odd in ("/?page=0", "/?page=-3", "/?page=9999999", "/?page=x", "/?task=toy", "/?task=/",
                "/?task=toy/9999999999999999999", "/?outcome=%00", "/?run=../outside"):  # fmt: skip
        assert client.get(odd).status_code == 200


def test_pages_let_nothing_in(client: TestClient) -> None:
    for address in ("/", "/view.js", "/view.css", "/nowhere", "/frame"):
        headers = client.get(address).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"


# -- stores ------------------------------------------------------------------------------------


def test_nothing_is_written(client: TestClient, folder: Path, toy: Suite, artists: Artists) -> None:
    whole = next(s for s in stored(folder / "deep" / "whole") if s.outcome == "failure")
    before = every_byte(folder)
    assert not any(name.endswith(("-wal", "-shm")) for name in before)
    for address in (
        "/", "/?outcome=failure", "/?kind=dropped", "/view.css", "/view.js",
        f"/episode?of=deep%2Fwhole&key={whole.cell.key}",
        f"/why?of=deep%2Fwhole&key={whole.cell.key}",
        *frames_of(client, folder).values(),
    ):  # fmt: skip
        client.get(address)
    assert artists._frames
    assert every_byte(folder) == before


def test_a_sweep_that_is_writing_is_read_as_it_is(tmp_path: Path, artists: Artists) -> None:
    cells = grid(tasks=1, init_states=20)
    run = make_run(tmp_path / "run", cells, [])
    client = client_of(tmp_path, artists)
    assert links(client.get("/?outcome=success").text) == []
    with Store.write(run, "a test") as store:
        for number, cell in enumerate(cells, start=1):
            store.add_episode(make_record(cell, outcome="success"))
            assert len(links(client.get("/?outcome=success").text)) == number
    assert len(links(client.get("/?outcome=success").text)) == len(cells)


def damaged(folder: Path) -> None:
    """A store whose first pages are whole and whose others are not."""
    make_run(folder, grid(tasks=3, init_states=300))
    file = folder / STORE_NAME
    content = bytearray(file.read_bytes())
    content[4096 * 12 :] = os.urandom(len(content) - 4096 * 12)
    file.write_bytes(content)


def of_version(folder: Path, version: str, *, whole: bool) -> None:
    make_run(folder, grid())
    with sqlite3.connect(folder / STORE_NAME) as database:
        database.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (version,))
        if not whole:
            database.execute("DROP TABLE episodes")
    database.close()


def odd_values(folder: Path) -> None:
    """A store whose seconds are no JSON."""
    make_run(folder, grid())
    with sqlite3.connect(folder / STORE_NAME) as database:
        database.execute("UPDATE episodes SET seconds = 'soon'")
    database.close()


def folder_of_that_name(folder: Path) -> None:
    (folder / STORE_NAME).mkdir(parents=True)


def file_of(content: bytes) -> Any:
    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / STORE_NAME).write_bytes(content)

    return make


def truncated(folder: Path) -> None:
    make_run(folder, grid())
    file = folder / STORE_NAME
    file.write_bytes(file.read_bytes()[:5000])


BROKEN = {
    "empty": file_of(b""),
    "no database": file_of(b"no database"),
    "damaged": damaged,
    "truncated": truncated,
    "of another version": lambda folder: of_version(folder, "0", whole=True),
    "without a table": lambda folder: of_version(folder, "1", whole=False),
    "of odd values": odd_values,
    "a folder": folder_of_that_name,
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_run_gets_one_line_and_hides_no_other(
    tmp_path: Path, artists: Artists, what: str
) -> None:
    make_run(tmp_path / "sound", grid(tasks=1, init_states=2))
    BROKEN[what](tmp_path / "broken")
    client = client_of(tmp_path, artists)
    for address in ("/", "/?outcome=failure", "/?run=broken"):
        answer = client.get(address)
        assert answer.status_code == 200
        (line,) = re.findall("<li>Not shown: (.*)</li>", answer.text)
        assert "broken" in html.unescape(line) or what == "of odd values"
    assert len(links(client.get("/?run=sound").text)) == 4
    assert client.get("/episode?of=broken&key=x").status_code == 404


def test_what_changes_is_seen(tmp_path: Path, artists: Artists) -> None:
    make_run(tmp_path / "run", [make_cell("early")])
    site = Site(tmp_path, artists)
    client = TestClient(site.app(), base_url="http://localhost")
    assert "late" not in client.get("/").text
    make_run(tmp_path / "run", [make_cell("late")])
    assert "late" in client.get("/").text


# -- a very large run --------------------------------------------------------------------------


def test_a_page_is_no_more_rows_in_a_large_run(
    tmp_path: Path, artists: Artists, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies, tasks = 4, 5
    big_run.fill(tmp_path / "run", list(big_run.grid(policies, tasks, 500)))
    seen: Counter[str] = Counter()
    connect = sqlite3.connect

    def row(_: object, values: tuple[object, ...]) -> tuple[object, ...]:
        seen["rows"] += 1
        return values

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.row_factory = row
        return connection

    monkeypatch.setattr(sqlite3, "connect", connected)
    client = client_of(tmp_path, artists)
    for address in ("/", "/?outcome=failure&page=9", "/?policy=policy+1&kind=policy+error"):
        seen.clear()
        text = client.get(address).text
        assert len(links(text)) == ROWS
        assert seen["rows"] <= policies * tasks + 2 * ROWS + 100, address
    seen.clear()
    client.get(f"/{links(text)[3]}")
    assert 0 < seen["rows"] <= 200


@pytest.mark.slow
def test_a_run_of_180000_episodes_opens_in_two_seconds(tmp_path: Path, artists: Artists) -> None:
    run = big_run.fill(tmp_path / "run", list(big_run.grid(9, 40, 500)), passport=good_passport())
    with Store.read(run, leave_nothing=True) as store:
        failed = [
            key for (key,) in store.connection.execute(
                "SELECT cell_key FROM episodes WHERE outcome = 'failure'"
            )
        ]  # fmt: skip
    rows = [{"key": key, "label": "dropped", "step": 3, "evidence": "it fell"} for key in failed]
    (run / "failures.json").write_text(json.dumps({"definitions": {}, "episodes": rows}))
    client = client_of(tmp_path, artists)
    client.get("/view.css")  # templates are read
    for address in ("/", "/?run=run", "/?outcome=success&page=900", "/?kind=dropped&page=1200"):
        began = time.process_time()
        text = client.get(address).text
        spent = time.process_time() - began
        assert len(links(text)) == ROWS
        assert spent < 2, f"{address}: {spent:.2f} s"
    began = time.process_time()
    assert "180,000" in client.get("/").text
    assert client.get(f"/{links(text)[0]}").status_code == 200
    assert time.process_time() - began < 2


# -- the command -------------------------------------------------------------------------------


def test_a_bad_folder_or_port_is_refused(refused: Refused, work: Path) -> None:
    refused("view", "gone", expected=("no folder 'gone'", "name one"))
    (work / "notes.txt").write_text("notes")
    refused("view", "notes.txt", expected=("'notes.txt'",))
    (work / "runs").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused("view", "--port", port, expected=(f"127.0.0.1:{port}", "another --port"))
    refused("view", "--port", "70000", expected=("--port",))


def test_it_serves_this_machine_alone_until_it_is_stopped(folder: Path) -> None:
    server = subprocess.Popen(
        [*COMMAND, "view", str(folder), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert address is not None, line
        with urllib.request.urlopen(address[0], timeout=60) as answer:
            assert b"deep/whole" in answer.read()
        listening = subprocess.run(["cat", f"/proc/{server.pid}/net/tcp"], capture_output=True)
        assert f"0100007F:{int(address[1]):04X}".encode() in listening.stdout
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
        assert server.stdout.read() == "stopped\n"
    finally:
        server.kill()


def test_the_server_holds_no_torch(folder: Path) -> None:
    """It runs beside a sweep, and so do the processes that draw."""
    code = (
        "import sys; from pathlib import Path; from starlette.testclient import TestClient\n"
        "from analysis.viewing.artists import Artists; from analysis.viewing.site import Site\n"
        "import analysis.viewing.command, analysis.viewing.drawing\n"
        "client = TestClient(Site(Path(sys.argv[1]), Artists()).app(), base_url='http://localhost')\n"
        "assert client.get('/').status_code == 200\n"
        "print({'torch', 'ray', 'mujoco', 'matplotlib'} & set(sys.modules))"
    )
    ended = subprocess.run([COMMAND[0], "-c", code, str(folder)], capture_output=True, text=True)
    assert ended.stdout.strip() == "set()", ended.stderr


def test_a_cell_that_was_asked_for_under_an_older_key_is_not_shown(
    tmp_path: Path, artists: Artists
) -> None:
    old, new = make_cell(made_by="old"), make_cell(made_by="new")
    make_run(tmp_path / "run", [old])
    make_run(tmp_path / "run", [new])
    client = client_of(tmp_path, artists)
    (link,) = links(client.get("/").text)
    assert new.key in link and client.get(f"/{link}").status_code == 200
    assert client.get(f"/{link.replace(new.key, old.key)}").status_code == 404
