"""``wambench remote check``: what fits, what does not, and an exit code that says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.conftest import CommandLine, Refused
from tests.test_remote import ABOUT, answering, chunk, star_server
from tests.wire_servers import Echo, own, scripted


class Nano(Echo):
    """With pictures as a protocol has them."""

    spec = Echo.spec.model_copy(update={"image_size": (64, 64)})


def test_a_server_that_fits(wambench: CommandLine) -> None:
    with own("openpi") as port:
        ended = wambench("remote", "check", f"openpi://127.0.0.1:{port}", "--json")
    assert ended.code == 0, ended.err
    found = {one["what"]: one for one in json.loads(ended.out)}
    assert found["answers as agreed"]["fits"] and found["repeats itself"]["fits"]
    assert found["identity"]["found"].startswith("claimed ")
    assert "median of 10 looks" in found["round trip"]["found"]
    assert float(found["claimed"]["found"].split()[0]) < float(
        found["round trip"]["found"].split()[0]
    )


def test_a_stranger_that_fits_but_for_its_name(wambench: CommandLine) -> None:
    with scripted(answering(chunk())) as port:
        url = f"openpi://127.0.0.1:{port}"
        nameless = wambench("remote", "check", url, "--preset", "pi05-libero", "--json")
        named = wambench(
            "remote", "check", url, "--preset", "pi05-libero", "--option", "identity=a"
        )
    assert (nameless.code, named.code) == (1, 0)
    wrong = [one for one in json.loads(nameless.out) if one["fits"] is False]
    assert [one["what"] for one in wrong] == ["identity"] and "add identity" in wrong[0]["found"]


def test_what_does_not_fit_ends_with_1(wambench: CommandLine) -> None:
    """A command that swallows the server's error would call this a sound connection."""
    bad_chunk = answering(chunk(5))
    error = star_server(ABOUT, lambda _: {"ok": False, "error": {"message": "no such key"}})
    many = star_server(ABOUT | {"available_unnorm_keys": ["a", "b"]}, lambda _: {})
    for protocol, talk, named in (
        ("openpi", bad_chunk, "add horizon: 5"),
        ("openpi", answering("Traceback\nValueError: broken"), "ValueError: broken"),
        ("starvla", error, "no such key"),
        ("starvla", many, "choose one as unnorm_key"),
    ):
        preset = "pi05-libero" if protocol == "openpi" else "starvla-libero"
        with scripted(talk) as port:
            url = f"{protocol}://127.0.0.1:{port}"
            ended = wambench("remote", "check", url, "--preset", preset, "--json")
        assert ended.code == 1
        (wrong,) = [one["found"] for one in json.loads(ended.out) if one["fits"] is False]
        assert named in wrong and "\n" not in wrong


def test_nobody_there(wambench: CommandLine) -> None:
    ended = wambench("remote", "check", "openpi://127.0.0.1:9")
    assert ended.code == 1 and "cannot be reached" in ended.out


def test_one_that_never_says_the_same_is_said_to(wambench: CommandLine) -> None:
    values = iter(np.linspace(0, 1, 1000))
    with scripted(answering(lambda _: chunk(value=next(values)))) as port:
        url = f"openpi://127.0.0.1:{port}"
        ended = wambench(
            "remote", "check", url, "--preset", "pi05-libero", "--option", "identity=a"
        )
    assert ended.code == 0 and "unrepeatable" in ended.out


@pytest.mark.parametrize("words", ["", "openpi://a --preset"])
def test_bad_commands(refused: Refused, words: str) -> None:
    refused("remote", "check", *words.split(), expected=("see wambench",))


def test_a_served_policy_is_asked_about_itself(wambench: CommandLine) -> None:
    """By its address; the one that is served refuses NaN and an empty instruction."""
    with own("openpi", Nano) as port:
        ended = wambench(
            "conformance", f"openpi://127.0.0.1:{port}", "--no-simulator", "--json",
            "--option", "identity=echo@1",
        )  # fmt: skip
    assert ended.code == 1, ended.err
    found = {line["name"]: line["status"] for line in json.loads(ended.out)["lines"]}
    assert found["determinism"] == found["batch"] == found["noise seed"] == "passed", ended.out
    assert found["NaN"] == found["chunk length"] == "passed"
    assert found["instruction"] == "failed", "it does not read its words"
