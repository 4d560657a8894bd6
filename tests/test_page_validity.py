"""Pages are valid, self-contained and legible, and the checker that says so can find a fault."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.attention import page as attention_page
from analysis.attention.capture import Capture
from analysis.attention.scenes import Moment
from analysis.attention.study import Arm, Seen
from analysis.audit import command as audit_command
from analysis.audit.page import Audit
from analysis.audit.page import render as render_audit
from analysis.report.gallery import FILMS
from tests import whole_run
from tests.conftest import CommandLine
from tests.pages import faults
from tests.test_attention_maps import Starer
from tests.test_audit_page import AGAIN, audit  # noqa: F401  (a fixture)
from tests.test_report import Page, undrawn, write_run  # noqa: F401  (a fixture)
from wambench import Observation
from wambench.attention import Grid
from wambench.store import Store
from wambench.suite import Suite
from wambench.video import film_name

SOUND = """<!doctype html><html lang="en"><head><title>t</title><style>
:root {{ --ink: #222; --paper: #fff; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #ddd; --paper: #111; }} }}
@media print {{ p {{ color: #eee; }} }}
body {{ color: var(--ink); background: var(--paper); }} {style}
</style></head><body><h1 id="top">t</h1><p>words</p>{body}</body></html>"""


def page(body: str = "", style: str = "") -> str:
    return SOUND.format(body=body, style=style)


# -- the checker -----------------------------------------------------------------------------------


def test_a_sound_page_has_no_fault() -> None:
    body = """<a href="#top">up</a><a href="films/a.mp4">film</a><h2>b</h2>
<table><caption>c</caption><tr><th scope="col">x</th></tr></table>
<svg role="img" aria-label="s"><text fill="currentColor">1</text>
<path stroke="currentColor" fill="none"/></svg><label for="i">i</label><input id="i">"""
    assert faults(page(body)) == []


@pytest.mark.parametrize(
    ("body", "style", "said"),
    [
        ("<p><table></p>", "", "invalid HTML"),
        ("<b><i></b></i>", "", "invalid HTML"),
        ("<p id=top>x</p>", "", "id 'top' stands 2 times"),
        ("<a href='#gone'>x</a>", "", "#gone leads nowhere"),
        ("<section aria-labelledby='gone'>x</section>", "", "'gone' leads nowhere"),
        ("<img alt='a' src='picture.png'>", "", "outside the page"),
        ("<a href='https://example.org'>x</a>", "", "outside the page"),
        ("<a href='/etc'>x</a>", "", "outside the page"),
        ("", "@import 'x.css';", "fetches"),
        ("<img src='data:,'>", "", "no alt"),
        ("<table><caption>c</caption><tr><th>x</th></tr></table>", "", "no scope"),
        ("<table><tr><td>x</td></tr></table>", "", "no caption"),
        ("<h3>c</h3>", "", "an h3 follows an h1"),
        ("<h1>c</h1>", "", "the only h1"),
        ("<svg><path d='M0 0'/></svg>", "", "no img with an aria-label"),
        ("<figure>x</figure>", "", "neither caption nor label"),
        ("<input id='i'>", "", "no label"),
        ("<nav>x</nav>", "", "a nav has no label"),
        ("x" * 5_000_000, "", "more than"),
        ("<p class='f'>x</p>", ".f { color: #999 }", "light: text of <p class=f>: 2.8"),
        ("<p class='f'>x</p>", ".f { color: #555 }", "dark: text of <p class=f>"),
        ("<p class='f'>x</p>", ".f { background: var(--ink) }", "text of <p class=f>: 1.00"),
        (
            "<p class='f' style='--rate:60%'>x</p>",
            ".f { background: color-mix(in srgb, var(--ink) var(--rate), transparent); }",
            "light: text of <p class=f>",
        ),
        ("<p class='f'>x</p>", "p { color: #888 } .f { color: #222 }", "dark: text of <p class=f>"),
        (
            "<svg role='img' aria-label='s'><path style='stroke: #bbb; fill: none'/></svg>",
            "",
            "light: mark <path>",
        ),
        (
            "<svg role='img' aria-label='s'><path style='stroke: currentColor; opacity: .3; "
            "fill: none'/></svg>",
            "",
            "light: mark <path>",
        ),
        ("<svg role='img' aria-label='s'><text>1</text></svg>", "", "dark: text of <text>"),
    ],
)
def test_every_fault_is_found(body: str, style: str, said: str) -> None:
    found = faults(page(body, style))
    assert any(said in one for one in found), found


def test_known_contrasts() -> None:
    """Grey #767676 is the lightest that WCAG lets stand on white; one shade lighter is not."""
    assert faults(page(style="@media (prefers-color-scheme: light) { p { color: #767676 } }")) == []
    (found,) = faults(page(style="@media (prefers-color-scheme: light) { p { color: #777777 } }"))
    assert found == "light: text of <p>: 4.48 to 1"


# -- the pages -------------------------------------------------------------------------------------


def test_a_report_of_everything(tmp_path: Path, toy: Suite, wambench: CommandLine) -> None:
    run = whole_run.make(tmp_path / "run")
    study = whole_run.make_study(tmp_path / "study")
    imagined = whole_run.make_imagined(tmp_path / "imagined")
    before = whole_run.make(tmp_path / "before", without=["second"])
    with Store.read(run) as store:
        cell = next(k.cell for k in store.cells() if k.outcome == "failure")
    film = run / FILMS / film_name(cell)
    film.parent.mkdir()
    film.touch()
    ended = wambench(
        "report", run, "--compare", before, "--attention", study, "--imagined", imagined
    )
    assert ended.code == 0, ended.err
    text = (run / "report.html").read_text()
    assert faults(text) == []
    shown = Page(run / "report.html")
    sections = {a["id"] for tag, a in shown.tags if tag == "h2"}
    assert {"verdicts", "changes", "pairs", "ranks", "conditions", "learning", "variants", "kinds",
            "study", "strips", "trouble", "passport"} <= sections  # fmt: skip
    links = [a["href"] for tag, a in shown.tags if tag == "a" and "href" in a]
    assert f"{FILMS}/{film.name}" in [(link or "").replace("%20", " ") for link in links]
    assert "../study/attention.html" in links
    # every example says how to film it; those of an installed suite have the moment framed
    framed = [a for tag, a in shown.tags if tag == "li" and a.get("class") == "moment"]
    commands = re.findall(r"<code>wambench video .* --suite (\w+) --task", text)
    assert len(framed) == commands.count("toy") >= 10
    assert "elsewhere" in commands and "There are" not in shown.text
    assert "it fell" in shown.text and "missed grasp" in shown.text


@pytest.mark.parametrize(
    "outcomes", [{"p": "...."}, {"p": "ffff"}, {"p": "e.sf", "q": "ssss"}, {"p": "ssss"}]
)
def test_odd_reports(
    tmp_path: Path, toy: Suite, wambench: CommandLine, outcomes: dict[str, str]
) -> None:
    run = write_run(tmp_path / "run", outcomes)
    assert wambench("report", run).code == 0
    assert faults((run / "report.html").read_text()) == []


def test_the_audit(audit: Audit) -> None:  # noqa: F811
    assert faults(render_audit(audit, AGAIN)) == []
    empty = Audit(source="a paper", rows=audit.rows, counts={}, records=[], curves=[])
    assert faults(render_audit(empty, AGAIN)) == []


def test_the_attention_page() -> None:
    starer = Starer("stacked", Grid(4, 4), 1, 1)
    picture = np.full((64, 64, 3), 90, np.uint8)
    pictures = {"left": picture, "right": picture}
    with torch.inference_mode(), Capture(starer.attention) as capture:
        starer.act(pictures, torch.Generator().manual_seed(0))
    observation = Observation("e", 0, "lift <it> & go", 0, images=pictures)
    seen = [
        Seen(
            Arm("starer", "starer"),
            Moment("toy", 0, "t", 0, 0, step, 9, observation, pictures, pictures, {}, {}),
            starer.attention,
            capture.taken[0],
        )
        for step in (0, 4)
    ]
    text = attention_page.render(seen, "upright", "toy <1>", "wambench attention --out <x>")
    assert faults(text) == []
    found = re.search(r'id="data">(.*?)</script>', text)
    assert found is not None
    place = {"suite": "toy", "task": "t", "init_state": 0, "seed": 0}
    assert json.loads(found[1])["place"] == place  # by which wambench view knows the episode


# -- the tables in LaTeX ---------------------------------------------------------------------------

needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex (Debian: texlive-latex-recommended)"
)


def compiled(folder: Path, main: str) -> str:
    """Compile a document; returns what pdflatex said."""
    ended = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", main],
        cwd=folder, capture_output=True, text=True, errors="replace", timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-3000:]
    return ended.stdout


@needs_latex
@pytest.mark.usefixtures("toy", "undrawn")
def test_tables_of_a_report_compile(work: Path, wambench: CommandLine) -> None:
    run, tables = whole_run.make(Path("run")), Path("tables")
    study = whole_run.make_study(Path("study"))
    ended = wambench("report", run, "--attention", study, "--compare", run, "--tables", tables)
    assert ended.code == 0, ended.err
    said = compiled(tables, "report.tex")
    assert "Overfull \\hbox" not in said and (tables / "report.pdf").is_file()
    # and each in a document of somebody else
    inputs = "\n".join(rf"\input{{{file.name}}}" for file in sorted(tables.glob("[!r]*.tex")))
    assert inputs.count("input") > 10
    (tables / "mine.tex").write_text(
        "\\documentclass{article}\n\\usepackage{array,booktabs,longtable}\n"
        f"\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )
    compiled(tables, "mine.tex")


@needs_latex
def test_tables_of_the_audit_compile(audit: Audit, tmp_path: Path) -> None:  # noqa: F811
    audit_command.write(audit, tmp_path, AGAIN)
    compiled(tmp_path, audit_command.MAIN_LATEX)
