"""Judgements as a JUnit file, which every CI shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from analysis.judging.judge import Judgement


def write_junit(path: Path, judgements: Sequence[Judgement], failed: Sequence[Judgement]) -> None:
    """Write a test case a pair; other pairs that are not comparable are skipped."""
    suite = ElementTree.Element(
        "testsuite", name="wambench verdict", tests=str(len(judgements)), failures=str(len(failed))
    )
    for one in judgements:
        name = f"{one.first} against {one.second}"
        case = ElementTree.SubElement(suite, "testcase", classname="verdict", name=name)
        if one in failed:
            ElementTree.SubElement(case, "failure", message=one.text).text = one.basis
        elif one.verdict is None:
            ElementTree.SubElement(case, "skipped", message=one.basis)
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
