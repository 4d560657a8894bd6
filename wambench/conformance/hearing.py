"""Lines about the instruction: is it heard, and is it noticed when it is lost?"""

from __future__ import annotations

from dataclasses import replace

from wambench.conformance.answering import UNREPEATABLE
from wambench.conformance.line import Result, failed, passed, unchecked
from wambench.conformance.looks import Look
from wambench.conformance.subject import Chunk, Subject, apart, same
from wambench.errors import PolicyFault

SCRIPTED = "a scripted policy need not hear"


def instruction(subject: Subject) -> Result:
    """Another task's instruction changes the answer."""
    if why := _silence(subject):
        return unchecked(why)
    moved = [apart(*pair) for pair in _heard(subject)]
    if not any(moved):
        return failed("another instruction, the same answer to the bit")
    return passed(f"another instruction moves the answer by up to {max(moved):.2g}")


def empty_instruction(subject: Subject) -> Result:
    """An instruction lost on the way is refused, or at least not answered as if it were there."""
    if why := _silence(subject):
        return unchecked(why)
    if all(same(*pair) for pair in _heard(subject)):
        return unchecked("it hears no instruction")
    try:
        pairs = [(subject.ask(look), subject.ask(_told(look, ""))) for look in subject.few]
    except PolicyFault:
        return passed("refused")
    if any(same(*pair) for pair in pairs):
        return failed("no instruction is answered to the bit as the task's own")
    moved = max(apart(*pair) for pair in pairs)
    return passed(f"not refused, but answered {moved:.2g} away from the task's own")


def _silence(subject: Subject) -> str:
    """Why nothing can be told of its hearing; empty if something can."""
    if subject.policy.spec.track == "scripted":
        return SCRIPTED
    if len(set(subject.instructions)) < 2:
        return "the suite has one instruction"
    return "" if subject.repeatable else UNREPEATABLE


def _heard(subject: Subject) -> list[tuple[Chunk, Chunk]]:
    """Answers to the task's own and to another instruction."""
    pairs = []
    for look in subject.few:
        other = next(one for one in subject.instructions if one != look.seen.instruction)
        pairs.append((subject.ask(look), subject.ask(_told(look, other))))
    return pairs


def _told(look: Look, words: str) -> Look:
    return replace(look, seen=replace(look.seen, instruction=words))
