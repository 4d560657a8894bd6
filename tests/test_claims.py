"""The ledger: every figure has a row, and every verdict follows from numbers and can turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis.claims import arithmetic, latency, policies, ratios, success, table5
from analysis.claims.costs import Condition, Costs, Reading
from analysis.claims.ledger import Evidence, ledger, summary
from analysis.claims.published import CLAIMS, FOLDER, READINGS, Published, Readings, load, numbers
from analysis.claims.rows import Finding, Row, judge
from tests.conftest import CommandLine, check_refusal
from tests.made_up_costs import closed_form
from tests.records import make_cell, make_passport, make_record
from tests.test_latency_faults import CLEAN, device, times
from wambench import UserError, plugins
from wambench.cells import PolicyChoice
from wambench.contract import PolicySpec
from wambench.store import Store

RELEASED = {(224, 448): "here", (288, 256): "there", (384, 320): "elsewhere"}
PAPER = (320, 640)


@pytest.fixture(scope="module")
def data() -> tuple[Published, Readings]:
    return load()


@pytest.fixture(scope="module")
def rows(data: tuple[Published, Readings]) -> list[Row]:
    return ledger(*data, Evidence(Costs(closed_form), RELEASED))


def changed(published: Published, table: str, row: str, column: str, value: float) -> Published:
    """The figures with one of a table changed."""
    old = published.tables[table]
    at = old.columns.index(column)
    new = tuple(
        (*cells[:at], value, *cells[at + 1 :]) if cells[0] == row else cells for cells in old.rows
    )
    tables = {**published.tables, table: old.model_copy(update={"rows": new})}
    return published.model_copy(update={"tables": tables})


def row_of(found: list[Row], name: str) -> Row:
    [row] = [row for row in found if row.id == name]
    return row


# -- every figure ----------------------------------------------------------------------------------


def leaves(value: Any) -> Iterator[float]:
    """Every number in a JSON value, by another road than the loader's."""
    if isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, int | float):
        yield value


def test_every_number_of_the_file_has_a_row(
    data: tuple[Published, Readings], rows: list[Row]
) -> None:
    content = json.loads((FOLDER / CLAIMS).read_text())
    printed = sorted(leaves(content))
    known = [n for n in numbers(data[0]).values() if not isinstance(n, str)]
    assert sorted(known) == printed and len(printed) > 200
    ids = {row.id.partition("/")[0] for row in rows if row.kind != "arithmetic"}
    assert set(numbers(data[0])) - ids == set()
    assert {f"qualitative.{name}" for name in content["qualitative"]} <= ids


def test_rows_say_what_a_reader_needs(rows: list[Row]) -> None:
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.claim and row.why and row.command and "\n" not in row.why
        assert (row.verdict == "reproduced only under") == bool(row.under)
    assert sum(summary(rows).values()) == len(rows)


# -- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"assumed": 6.0}, "reproduced"),
        ({"assumed": 6.05, "other": 1.0}, "reproduced"),
        ({"assumed": 5.0, "other": 6.0}, "reproduced only under"),
        ({"other": 6.0}, "reproduced only under"),
        ({"assumed": 5.0, "other": 4.0}, "not reproduced"),
    ],
)
def test_a_verdict_follows_from_what_was_found(values: Mapping[str, float], verdict: str) -> None:
    findings = [
        Finding(condition=name, value=value, assumed=name == "assumed")
        for name, value in values.items()
    ]
    assert judge(6.0, findings, "equal", 0.01).verdict == verdict


def test_more_than_claimed_is_fine_only_where_it_may_be() -> None:
    found = [Finding(condition="here", value=7.0, assumed=True)]
    assert judge(6.0, found, "at least", 0.01).verdict == "reproduced"
    assert judge(6.0, found, "equal", 0.01).verdict == "not reproduced"


def test_an_interval_counts_and_a_point_outside_it_does_not() -> None:
    found = [Finding(condition="here", value=5.0, low=4.5, high=6.2, assumed=True)]
    assert judge(6.0, found, "equal", 0.0).verdict == "reproduced"
    assert judge(6.3, found, "equal", 0.0).verdict == "not reproduced"


# -- FLOPs -----------------------------------------------------------------------------------------


def flops_rows(
    data: tuple[Published, Readings],
    form: Callable[[str, Mapping[str, Any]], Mapping[str, int]] = closed_form,
    released: Mapping[tuple[int, int], str] = RELEASED,
) -> list[Row]:
    return ledger(*data, Evidence(Costs(form), released), ["flops"])


def test_table_5_is_found_under_one_condition(data: tuple[Published, Readings]) -> None:
    found = flops_rows(data)
    assert len(found) == 3
    for row in found:
        assert row.verdict == "reproduced only under"
        assert row.under[0].startswith("320x640 px, 10 steps, 9 video frames, released, without")
        assert row.found == pytest.approx(float(row.claimed), rel=0.01)
        assert "no released configuration" in row.why
        assert "FastWAM (1 step) as IDM with 1 video step, ImageWAM as 4B" in row.why
        assert row.why.startswith("One way")


def test_table_5_is_reproduced_if_such_a_picture_is_released(
    data: tuple[Published, Readings],
) -> None:
    found = flops_rows(
        data, released={**RELEASED, PAPER: "somebody", (288, 704): "x", (704, 288): ""}
    )
    assert {row.verdict for row in found} == {"reproduced"}


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("OmniGen2", "imagewam-omnigen2"),
        ("OmniGen2 with a goal of noise", "imagewam-omnigen2-noise-idm"),
        ("OmniGen2 with a half-denoised goal", "imagewam-omnigen2-cache-idm"),
        ("Ovis-U1", "imagewam-ovis-u1"),
    ],
)
def test_table_5s_editor_is_found_and_not_assumed(
    data: tuple[Published, Readings], name: str, policy: str
) -> None:
    """Were the table's figure what another editor takes, it would be read as that one."""
    there = closed_form(policy, {"picture": PAPER})
    tflops = sum(n for stage, n in there.items() if stage != "text") / 1e12
    other = changed(data[0], table5.TABLE, "ImageWAM", "tflops", tflops)
    found = row_of(flops_rows((other, data[1])), f"{table5.TABLE}.ImageWAM.tflops")
    assert found.verdict == "reproduced only under"
    assert found.condition.endswith(f"read as {name}") and "as 4B" not in found.why


@pytest.mark.parametrize(
    ("name", "value"), [("FastWAM-IDM", 39.0), ("FastWAM (1 step)", 39.0), ("ImageWAM", 5.0)]
)
def test_another_figure_in_table_5_fits_nothing(
    data: tuple[Published, Readings], name: str, value: float
) -> None:
    other = changed(data[0], table5.TABLE, name, "tflops", value)
    found = flops_rows((other, data[1]))
    assert {row.verdict for row in found} == {"not reproduced"}
    assert "None of" in found[0].why


def test_half_the_flops_fit_nothing(data: tuple[Published, Readings]) -> None:
    def halved(policy: str, options: Mapping[str, Any]) -> Mapping[str, int]:
        once = 2 if policy.startswith("fastwam") else 1  # multiply-adds taken for FLOPs on one side
        return {stage: n // once for stage, n in closed_form(policy, options).items()}

    assert {row.verdict for row in flops_rows(data, halved)} == {"not reproduced"}


def ratio_rows(data: tuple[Published, Readings], **factors: float) -> list[Row]:
    def form(policy: str, options: Mapping[str, Any]) -> Mapping[str, int]:
        factor = factors.get(policy.replace("-", "_"), 1)
        return {stage: int(n * factor) for stage, n in closed_form(policy, options).items()}

    return ledger(*data, Evidence(Costs(form), RELEASED), ["ratio"])


def test_the_headline_holds_against_some_baselines_only(data: tuple[Published, Readings]) -> None:
    found = ratio_rows(data)
    idm = row_of(found, "headline.flops_ratio/FastWAM-IDM")
    assert idm.verdict == "reproduced only under"
    assert idm.found == pytest.approx(1 / 4.95, rel=0.01)
    assert "320x640 px, released, without text and decode" in idm.under
    assert "224x448 px, released, without text and decode" not in idm.under
    plain = row_of(found, "headline.flops_ratio/FastWAM (plain)")
    assert plain.verdict == "not reproduced" and plain.found is not None and plain.found > 2
    assert "under 20 of them it needs fewer FLOPs than ImageWAM" in plain.why


def test_a_cheaper_editor_turns_the_headline(data: tuple[Published, Readings]) -> None:
    found = ratio_rows(data, imagewam_4b=0.02)
    for name in data[1].baselines:
        assert row_of(found, f"headline.flops_ratio/{name}").verdict == "reproduced"
    assert row_of(found, "ours.idm-on-libero").verdict == "not reproduced"


def test_our_own_statements_are_judged_like_others(data: tuple[Published, Readings]) -> None:
    assert row_of(ratio_rows(data), "ours.idm-on-libero").verdict == "reproduced"
    dearer = ratio_rows(data, fastwam_idm=1.05)
    assert row_of(dearer, "ours.idm-on-libero").verdict == "not reproduced"


def test_pictures_are_read_off_a_polynomial_only_where_it_is_one() -> None:
    reading = Reading(policy="imagewam-4b")
    pictures = [(32 * n, 320) for n in range(4, 20)]
    costs = Costs(closed_form)
    for picture in pictures:
        assert costs.stages(reading, Condition(picture)) == closed_form(
            "imagewam-4b", {"picture": picture}
        )
    assert costs.asked == 4

    def stepped(policy: str, options: Mapping[str, Any]) -> Mapping[str, int]:
        return {"act": options["picture"][0] ** 3}

    costs = Costs(stepped)
    for picture in pictures:
        assert costs.stages(reading, Condition(picture)) == {"act": picture[0] ** 3}
    assert costs.asked == len(pictures)


def test_real_policies_give_table_5(data: tuple[Published, Readings]) -> None:
    """Closed forms at full size: 63.65, 13.21 and 9.72 TFLOPs at the paper's picture."""
    from wambench.profile.flops import closed_form as real

    published, readings = data
    search = readings.search.model_copy(
        update={
            "usual": (PAPER, (224, 448), (352, 576)),  # the last fits too, one row even better
            "sides": (480, 480, 32),
            "presets": ("released",),
            "steps": (10,),
            "video_frames": (9,),
        }
    )
    meanings = {row: dict(list(kinds.items())[:1]) for row, kinds in readings.table5.items()}
    meanings["ImageWAM"] = dict(readings.table5["ImageWAM"])  # every editor, and one alone fits
    few = readings.model_copy(update={"search": search, "table5": meanings})
    names = [reading.policy for reading in readings.baselines.values()]
    released = policies.released_pictures([readings.editor.policy, *names])
    assert set(released) == {(224, 448), (288, 256), (384, 320)}
    found = ledger(published, few, Evidence(Costs(real), released), ["flops"])
    assert [row.verdict for row in found] == ["reproduced only under"] * 3
    for row in found:
        first = "320x640 px, 10 steps, 9 video frames, released, without text and decode"
        assert row.under[0] == first and "352x576 px" in row.under[1]
        assert row.condition.startswith(first)  # all rows show the same fit
        assert row.why.startswith("One way") and "ImageWAM as 4B, at" in row.why
        assert row.found == pytest.approx(float(row.claimed), rel=0.01)


# -- arithmetic ------------------------------------------------------------------------------------


def test_the_papers_own_digits(data: tuple[Published, Readings]) -> None:
    found = {row.id: row for row in arithmetic.rows(*data)}
    odd = {name for name, row in found.items() if row.verdict == "not consistent"}
    assert {name for name in odd if not name.endswith("tasks")} == {
        "table1_robotwin2.Motus.average/arithmetic",
        "table3_and_7_libero_plus/arithmetic weights",
        "table2_libero.OpenVLA/arithmetic twin",
    }


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "name"),
    [
        ("table2_libero", "ImageWAM", "average", 99.4, "table2_libero.ImageWAM.average/arithmetic"),
        ("table4_real_robot", "pi0", "hang_cup", 60, "table4_real_robot.pi0.average/arithmetic"),
        (
            "table11_latency_optimised", "ImageWAM (prefix only)", "latency_ms", 230,
            "table11_latency_optimised.ImageWAM (prefix only).speedup/arithmetic",
        ),
        ("table5_efficiency", "ImageWAM", "tflops", 12.0, "headline.flops_ratio/arithmetic"),
    ],
)  # fmt: skip
def test_a_wrong_digit_is_seen(
    data: tuple[Published, Readings], table: str, row: str, column: str, value: float, name: str
) -> None:
    before = {found.id: found.verdict for found in arithmetic.rows(*data)}
    after = arithmetic.rows(changed(data[0], table, row, column, value), data[1])
    assert before[name] == "consistent"
    assert {found.id: found.verdict for found in after}[name] == "not consistent"


# -- parameters, settings, success -----------------------------------------------------------------


def test_parameters_are_those_of_the_built_experts(data: tuple[Published, Readings]) -> None:
    published, readings = data
    found = policies.parameter_rows(published, readings)
    rows = {row.id.partition(".")[2]: row for row in found}
    assert {name: row.verdict for name, row in rows.items()} == {
        "OmniGen2": "reproduced",
        "FLUX.2 4B": "reproduced",
        "FLUX.2 9B": "reproduced",
        "Ovis-U1": "not reproduced",
    }
    assert rows["OmniGen2"].found == 759.719431
    assert rows["Ovis-U1"].found == 1041.423367
    assert "58.6 M fewer than printed" in rows["Ovis-U1"].why
    assert rows["Ovis-U1"].why.endswith(
        "rounded to 100 M, 1100 is the size of editor (1,127,227,408)."
    )


def expert_row(data: tuple[Published, Readings], name: str, claimed: float) -> Row:
    """The row of an action expert, were its size printed so."""
    other = data[0].model_copy(update={"action_expert_params_million": {name: claimed}})
    return policies.parameter_rows(other, data[1])[0]


def test_a_verdict_on_parameters_turns(data: tuple[Published, Readings]) -> None:
    assert expert_row(data, "Ovis-U1", 1041).verdict == "reproduced"
    for name, claimed in (("FLUX.2 4B", 700), ("OmniGen2", 761)):
        assert expert_row(data, name, claimed).verdict == "not reproduced"
    assert "1.3 M fewer than printed" in expert_row(data, "OmniGen2", 761).why
    assert expert_row(data, "OmniGen2", 759).why.endswith("1 M, 759 is the size of no part.")
    assert expert_row(data, "Another", 100).verdict == "not built here"


def test_settings_are_compared_with_the_built_policy(data: tuple[Published, Readings]) -> None:
    known = {**numbers(data[0]), "training.libero.action_chunk": 32}
    found = {row.id: row.verdict for row in policies.setting_rows(known, data[1])}
    assert found["training.libero.resolution_hw.1"] == "reproduced"
    assert found["training.libero.action_chunk"] == "not reproduced"
    assert found["training.lr"] == "not tested yet"


def test_success_needs_weights_or_runs(data: tuple[Published, Readings]) -> None:
    name = "table2_libero.ImageWAM.spatial"
    for wins, verdict in ((486, "reproduced"), (450, "not reproduced"), (None, "needs weights")):
        given = {("imagewam-4b", "libero_spatial"): success.Score(wins, 500)} if wins else {}
        found = success.rows(*data, given)
        assert row_of(found, name).verdict == verdict
        assert row_of(found, "table2_libero.ImageWAM.average").verdict == "needs weights"
        assert row_of(found, "table4_real_robot.ImageWAM.hang_cup").verdict == "needs a robot"


def test_success_of_every_editor_waits_for_its_weights(data: tuple[Published, Readings]) -> None:
    found = success.rows(*data, {})
    for editor, policy in (("OmniGen2", "imagewam-omnigen2"), ("Ovis-U1", "imagewam-ovis-u1")):
        row = row_of(found, f"table3_and_7_libero_plus.ImageWAM ({editor}).camera")
        assert row.verdict == "needs weights" and row.found is None
        assert row.why == f"No trained weights of {policy} are here."
    assert "is not built here" in row_of(found, "table2_libero.Motus.spatial").why


def test_an_axis_of_libero_plus_is_of_all_its_episodes(data: tuple[Published, Readings]) -> None:
    name = "table3_and_7_libero_plus.ImageWAM (FLUX.2 4B).light"  # 98.1 %
    suites = data[1].suites["table3_and_7_libero_plus"]["light"]
    assert len(suites) == 4 and set(suites) <= set(plugins.installed(plugins.SUITES))
    played = [success.Score(200, 200), success.Score(300, 300), success.Score(290, 300)]
    for last, verdict in (
        (success.Score(95, 99), "reproduced"),
        (success.Score(9, 99), "not reproduced"),
        (None, "needs weights"),  # an axis without one of its suites is another question
    ):
        given = {
            ("imagewam-4b", suite): score
            for suite, score in zip(suites, [*played, last], strict=True)
            if score is not None
        }
        row = row_of(success.rows(*data, given), name)
        assert row.verdict == verdict
        if last is not None:
            assert row.found == pytest.approx(100 * (790 + last.successes) / 899)


@pytest.mark.parametrize(
    ("track", "options", "expected"),
    [("published", {}, 1), ("published", {"weights": "random"}, 0), ("nano", {}, 0)],
)
def test_only_trained_published_policies_count(
    tmp_path: Path, track: Any, options: Mapping[str, Any], expected: int
) -> None:
    spec = PolicySpec(paradigm="imagewam", track=track, about="made up")
    cells = [make_cell(init_state=state) for state in range(4)]
    with Store.write(tmp_path / "run", "a test") as store:
        store.set_passport(make_passport())
        store.add_plan(cells, [PolicyChoice("p", "imagewam-4b", options)], {"p": spec})
        for cell in cells[:3]:
            store.add_episode(make_record(cell, outcome="success"))
    found = success.scores([tmp_path / "run"])
    assert len(found) == expected
    if expected:
        assert found["imagewam-4b", "toy"] == success.Score(3, 3)


# -- latency ---------------------------------------------------------------------------------------


def record(policy: str, ms: float, gpu: str = "NVIDIA RTX A6000", **changes: Any) -> Any:
    """A clean record of a policy; both kinds of text take as long."""
    card = device("gpu").model_copy(update={"name": gpu})
    each = {"warm": times(ms), "cold": times(ms)}
    known = {"policy": policy, "device": card, "scopes": {"policy": each}, "geometry": "paper"}
    return CLEAN.model_copy(update={**known, **changes})


def latency_rows(data: tuple[Published, Readings], *records: Any) -> list[Row]:
    return latency.rows(*data, records)


HEADLINE = "headline.latency_ratio/FastWAM-IDM"


def test_without_a_gpu_latency_is_open(data: tuple[Published, Readings]) -> None:
    on_cpu = record("imagewam-4b", 5).model_copy(update={"device": device("cpu")})
    found = latency_rows(data, on_cpu)
    assert {row.verdict for row in found} == {"needs a GPU"} and len(found) == 8 + 3 + 16


@pytest.mark.parametrize(
    ("gpu", "idm_ms", "verdict"),
    [
        ("NVIDIA RTX A6000", 1081, "reproduced"),
        ("NVIDIA H100", 1081, "reproduced only under"),
        ("NVIDIA H100", 500, "not reproduced"),
    ],
)
def test_the_latency_ratio_is_judged_by_its_interval(
    data: tuple[Published, Readings], gpu: str, idm_ms: float, verdict: str
) -> None:
    pair = [record("imagewam-4b", 263, gpu), record("fastwam-idm", idm_ms, gpu)]
    row = row_of(latency_rows(data, *pair), HEADLINE)
    assert row.verdict == verdict
    assert row.found == pytest.approx(263 / idm_ms, rel=0.02)
    assert row.low is not None and row.low < row.found < (row.high or 0) and gpu in row.device


def test_unlike_measurements_are_not_compared(data: tuple[Published, Readings]) -> None:
    ours, theirs = record("imagewam-4b", 263), record("fastwam-idm", 1081)
    for other in (
        {"audit": "another"}, {"geometry": "libero"}, {"mode": "compiled"},
        {"options": {"video_steps": 1}}, {"options": {"preset": "best-exact"}},
    ):  # fmt: skip
        found = latency_rows(data, ours, theirs.model_copy(update=other))
        assert row_of(found, HEADLINE).verdict == "needs a GPU", other


def test_milliseconds_count_on_the_named_gpu_only(data: tuple[Published, Readings]) -> None:
    name = "table5_efficiency.ImageWAM.latency_ms"
    assert row_of(latency_rows(data, record("imagewam-4b", 270)), name).verdict == "reproduced"
    slow = row_of(latency_rows(data, record("imagewam-4b", 400)), name)
    assert slow.verdict == "not reproduced"
    elsewhere = row_of(latency_rows(data, record("imagewam-4b", 60, "NVIDIA H100")), name)
    assert elsewhere.verdict == "needs a GPU" and "60 ms" in elsewhere.why


def test_a_prediction_is_shown_and_decides_nothing(data: tuple[Published, Readings]) -> None:
    found = latency.rows(*data, [], lambda reading: f"predicted, {reading.policy}")
    row = row_of(found, "table5_efficiency.ImageWAM.latency_ms")
    assert row.predicted == "predicted, imagewam-4b"
    assert row.verdict == "needs a GPU" and row.found is None


# -- the command and its files ---------------------------------------------------------------------


def test_the_command_prints_rows(wambench: CommandLine) -> None:
    ended = wambench("audit", "claims", "--kind", "parameters", "--kind", "arithmetic", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert {row["kind"] for row in found["rows"]} == {"parameters", "arithmetic"}
    assert sum(found["verdicts"].values()) == len(found["rows"])
    printed = wambench("audit", "claims", "--kind", "parameters")
    assert printed.code == 0 and "642 M" in printed.out and "3 reproduced" in printed.out


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, wambench: CommandLine) -> None:
    for arguments, expected in (
        (("--kind", "flopz"), ("flopz", "flops")),
        (("--results", tmp_path / "none"), ("none", "no folder")),
    ):
        ended = wambench("audit", "claims", *arguments)
        check_refusal(ended.code, ended.out, ended.err, expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"headline"', '"headlines"', ("claims.json", "headlines", "unknown field")),
        ('["pi0", 65.92, 58.4, 62.16]', '["pi0", 65.92]', ("claims.json", "pi0", "2 of 4")),
        ('"1/6"', '"a sixth"', ("a sixth", "1/6")),
        ("{", "", ("claims.json", "no JSON")),
    ],
)
def test_broken_figures_are_refused(
    tmp_path: Path, old: str, new: str, expected: tuple[str, ...]
) -> None:
    text = (FOLDER / CLAIMS).read_text()
    assert old in text
    (tmp_path / CLAIMS).write_text(text.replace(old, new, 1))
    (tmp_path / READINGS).write_text((FOLDER / READINGS).read_text())
    with pytest.raises(UserError) as raised:
        ratios.share(str(load(tmp_path)[0].headline["flops_ratio"]))
    for part in expected:
        assert part in str(raised.value)
    assert "\n" not in str(raised.value)
