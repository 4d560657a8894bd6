"""Contrast of all text and marks of a page, from its style sheet, by WCAG 2.2's formula.

The cascade is computed as a browser does, for what these pages use of it: colours that are
inherited, variables, ``color-mix`` with ``transparent``, and the colour scheme. Every text must
reach 4.5 to 1 on its background (1.4.3), every mark of a drawing 3 to 1 (1.4.11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import Element

import cssselect2
import tinycss2
from tinycss2.color4 import parse_color

TEXT, MARK = 4.5, 3.0
GRID_OPACITY = 0.2  # what is fainter on purpose: lines that only guide the eye
MARKS = ("path", "line", "circle", "rect", "polyline", "polygon", "ellipse", "use")
UNSEEN = ("head", "script", "style", "defs", "template")

Rgba = tuple[float, float, float, float]
Tokens = Sequence[Any]
PROPERTIES = ("color", "background", "background-color", "fill", "stroke",
              "opacity", "fill-opacity", "stroke-opacity")  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What an element hands on to those in it."""

    colour: Rgba
    background: Rgba
    paint: Mapping[str, Tokens]  # fill and stroke as they were written
    opacity: float
    variables: Mapping[str, Tokens]


def too_faint(root: Element, scheme: str) -> list[str]:
    """Text and marks that do not stand out, each told once."""
    matcher = cssselect2.Matcher()
    for style in root.iter("style"):
        _read(style.text or "", scheme, matcher)
    white, black = (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.0)
    wrapper = cssselect2.ElementWrapper.from_html_root(root)
    found = _walk(wrapper, Look(black, white, {}, 1.0, {}), matcher)
    return list(dict.fromkeys(found))


def ratio(one: Rgba, other: Rgba) -> float:
    """Of two opaque colours, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _read(css: str, scheme: str, matcher: cssselect2.Matcher) -> None:
    rules = tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)
    while rules:
        rule = rules.pop(0)
        if rule.type == "at-rule" and rule.content is not None:
            if f"prefers-color-scheme: {scheme}" in tinycss2.serialize(rule.prelude):
                rules[:0] = tinycss2.parse_rule_list(
                    rule.content, skip_comments=True, skip_whitespace=True
                )
        elif rule.type == "qualified-rule":
            values = _values(rule.content)
            if values:
                for selector in cssselect2.compile_selector_list(rule.prelude):
                    matcher.add_selector(selector, values)


def _values(content: Any) -> dict[str, Tokens]:
    declared = tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True)
    return {
        one.name: [token for token in one.value if token.type != "whitespace"]
        for one in declared
        if one.type == "declaration" and (one.name in PROPERTIES or one.name.startswith("--"))
    }


def _walk(node: Any, outer: Look, matcher: cssselect2.Matcher) -> Iterator[str]:
    element: Element = node.etree_element
    tag = str(element.tag).rpartition("}")[2]
    if tag in UNSEEN:
        return
    values = {name: _values(f"{name}:{element.get(name)}")[name]
              for name in ("fill", "stroke") if element.get(name)}  # fmt: skip
    for _, _, pseudo, declared in matcher.match(node):
        values |= declared if pseudo is None else {}
    values |= _values(element.get("style") or "")
    look = _look(values, outer)
    drawn = "svg" in str(element.tag)
    name = f"<{tag}{' class=' + element.get('class', '') if element.get('class') else ''}>"
    if _has_text(element):
        ink = _paint("fill", look) if drawn else look.colour
        if ink is not None and (found := _against(ink, 1.0, look)) < TEXT:
            yield f"text of {name}: {found:.2f} to 1"
    if drawn and tag in MARKS and element.get("class") != "grid":
        inks = [
            (ink, look.opacity * _number(values.get(f"{kind}-opacity")))
            for kind in ("fill", "stroke")
            if (ink := _paint(kind, look)) is not None
        ]
        seen = [_against(ink, alpha, look) for ink, alpha in inks if alpha > GRID_OPACITY]
        if seen and max(seen) < MARK:
            yield f"mark {name}: {max(seen):.2f} to 1"
    for child in node.iter_children():
        yield from _walk(child, look, matcher)


def _look(values: Mapping[str, Tokens], outer: Look) -> Look:
    own = {name: tokens for name, tokens in values.items() if name.startswith("--")}
    look = replace(outer, variables={**outer.variables, **own})
    if "color" in values:
        look = replace(look, colour=_colour(values["color"], look) or look.colour)
    ground = values.get("background-color") or values.get("background")
    if ground and (over := _colour(ground, look)) is not None:
        look = replace(look, background=_over(over, look.background))
    return replace(
        look,
        paint={**outer.paint, **{k: values[k] for k in ("fill", "stroke") if k in values}},
        opacity=outer.opacity * _number(values.get("opacity")),
    )


def _paint(kind: str, look: Look) -> Rgba | None:
    """Fill is black where nothing is said, stroke is nothing."""
    if kind not in look.paint:
        return (0.0, 0.0, 0.0, 1.0) if kind == "fill" else None
    return _colour(look.paint[kind], look)


def _colour(tokens: Tokens, look: Look) -> Rgba | None:
    """None for no colour at all."""
    token = tokens[0]
    if token.type == "ident" and token.lower_value == "none":
        return None
    if token.type == "ident" and token.lower_value in ("currentcolor", "inherit"):
        return look.colour
    if token.type == "function" and token.lower_name == "var":
        return _colour(_variable(token, look), look)
    if token.type == "function" and token.lower_name == "color-mix":
        return _mixed(token, look)
    found = parse_color(token)
    if found is None:
        raise AssertionError(f"what colour is {tinycss2.serialize(tokens)}?")
    red, green, blue, alpha = found.to("srgb")
    return red, green, blue, alpha


def _variable(token: Any, look: Look) -> Tokens:
    name = next(part.value for part in token.arguments if part.type == "ident")
    return look.variables[name]


def _mixed(token: Any, look: Look) -> Rgba:
    """``color-mix(in srgb, COLOUR SHARE, transparent)``."""
    parts = [p for p in token.arguments if p.type not in ("whitespace", "literal")]
    assert [p.value for p in (*parts[:2], parts[-1])] == ["in", "srgb", "transparent"]
    colour = _colour(parts[2:3], look)
    share = parts[3]
    if share.type == "function":
        share = _variable(share, look)[0]
    assert colour is not None and share.type == "percentage"
    return *colour[:3], colour[3] * share.value / 100


def _number(tokens: Tokens | None) -> float:
    return 1.0 if not tokens else float(tokens[0].value)


def _against(ink: Rgba, alpha: float, look: Look) -> float:
    return ratio(_over((*ink[:3], ink[3] * alpha), look.background), look.background)


def _over(top: Rgba, ground: Rgba) -> Rgba:
    alpha = top[3]
    red, green, blue = (a * alpha + b * (1 - alpha) for a, b in zip(top, ground[:3], strict=False))
    return red, green, blue, 1.0


def _luminance(colour: Rgba) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _has_text(element: Element) -> bool:
    return any((part or "").strip() for part in (element.text, *(child.tail for child in element)))
