"""What every page must be: valid, whole, told in words, legible by day and by night."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import html5lib

from tests.contrast import too_faint

MOST_BYTES = 5_000_000
SVG = "{http://www.w3.org/2000/svg}"
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
NAMED = {"href", "src", "srcset", "poster", "data", "action"}  # attributes that hold an address
NAMES_IDS = ("for", "aria-labelledby", "aria-describedby", "headers")


def faults(text: str) -> list[str]:
    """What is wrong with a page, one line each."""
    parser = html5lib.HTMLParser(html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
    root: Element = parser.parse(text)
    size = len(text.encode())
    return [
        *(f"invalid HTML at {at}: {code} {data or ''}" for at, code, data in parser.errors),
        *([f"{size} bytes are more than {MOST_BYTES}"] if size > MOST_BYTES else []),
        *_whole(root),
        *_told(root),
        *(f"{scheme}: {one}" for scheme in ("light", "dark") for one in too_faint(root, scheme)),
    ]


def _whole(root: Element) -> Iterator[str]:
    """It has a language and a title, every id is one place, every link leads somewhere at hand."""
    if not root.get("lang"):
        yield "no language"
    if not (root.findtext("head/title") or "").strip():
        yield "no title"
    ids = Counter(one.get("id") for one in root.iter() if one.get("id"))
    yield from (f"id {name!r} stands {count} times" for name, count in ids.items() if count > 1)
    for one in root.iter():
        for name in NAMES_IDS:
            yield from (
                f"{name}={target!r} leads nowhere"
                for target in (one.get(name) or "").split()
                if target not in ids
            )
        for name, value in one.attrib.items():
            for target in re.findall(r"url\(([^)]*)\)", value):
                if not target.startswith("#") or target[1:] not in ids:
                    yield f"{name} of <{_tag(one)}> leads to {target}"
            if name.split("}")[-1] in NAMED:
                yield from _address(_tag(one), value, ids)
        if _tag(one) == "style" and re.search(r"@import|url\((?!#)", one.text or ""):
            yield "the style fetches something"


def _address(tag: str, value: str, ids: Counter[str | None]) -> Iterator[str]:
    if value.startswith("#"):
        if value[1:] not in ids:
            yield f"{value} leads nowhere"
    elif value.startswith("data:"):
        return
    elif tag != "a" or re.match(r"[a-z][a-z0-9+.-]*:|/", value, re.IGNORECASE):
        yield f"<{tag}> needs {value[:80]}, which is outside the page"


def _told(root: Element) -> Iterator[str]:
    """Who cannot see it can hear it: pictures, tables, headings, fields and regions have words."""
    levels = [HEADINGS.index(one.tag) for one in root.iter() if one.tag in HEADINGS]
    if levels.count(0) != 1 or levels[:1] != [0]:
        yield "the first heading must be the only h1"
    for before, after in itertools.pairwise(levels):
        if after > before + 1:
            yield f"an h{after + 1} follows an h{before + 1}"
    labels = {one.get("for") for one in root.iter("label")}
    parents = {child: parent for parent in root.iter() for child in parent}
    for one in root.iter():
        tag, name = _tag(one), one.get("aria-label") or one.get("aria-labelledby")
        if tag == "img" and not (one.get("alt") or "").strip():
            yield "an img has no alt"
        if tag == "th" and one.get("scope") not in ("col", "row", "colgroup", "rowgroup"):
            yield f"th {''.join(one.itertext()).strip()[:40]!r} has no scope"
        if tag == "table" and not _text(one.find("caption")):
            yield "a table has no caption"
        if tag in ("svg", "canvas") and not _hidden(one, parents) and (
            one.get("role") != "img" or not name
        ):  # fmt: skip
            yield f"<{tag}> is no img with an aria-label"
        if tag == "figure" and not name and not _text(one.find("figcaption")):
            yield "a figure has neither caption nor label"
        is_field = tag in ("input", "select") and one.get("type") != "hidden"
        if is_field and not name and one.get("id") not in labels:
            yield f"{tag} {one.get('id')!r} has no label"
        if (tag == "nav" or one.get("role") == "region") and not name:
            yield f"a {one.get('role') or tag} has no label"


def _hidden(one: Element, parents: dict[Element, Element]) -> bool:
    """Whether it is left out on purpose: told by what is around it."""
    node: Element | None = one
    while node is not None:
        if node.get("aria-hidden") == "true" or (node is not one and node.get("role") == "img"):
            return True
        node = parents.get(node)
    return False


def _text(one: Element | None) -> str:
    return "" if one is None else "".join(one.itertext()).strip()


def _tag(one: Element) -> str:
    return str(one.tag).removeprefix(SVG) if isinstance(one.tag, str) else ""
