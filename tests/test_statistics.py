"""Statistics against published values, other libraries, by hand, and for what must hold of any."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.polynomial import Polynomial
from scipy import stats
from scipy.optimize import minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from analysis.statistics import (
    MIN_TASKS,
    Outcomes,
    Tally,
    Verdict,
    clopper_pearson,
    clustered,
    difference_test,
    discordance,
    episodes_paired,
    episodes_unpaired,
    equivalence,
    evidence,
    highest_correlation,
    holm,
    mcnemar,
    paired,
    ranks,
    rate_interval,
    standing,
    stop,
    task_test,
    verdicts,
)
from analysis.statistics.ranks import critical_distance
from analysis.statistics.score import score, score_interval

Z = 1.959963984540054  # 97.5 % point of the normal distribution


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 5
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_the_interval_of_a_rate_equals_published_values(
    successes: int, episodes: int, low: float, high: float
) -> None:
    assert rate_interval(successes, episodes) == pytest.approx((low, high), abs=5e-5)


def test_its_ends_are_where_the_one_sided_tests_just_accept() -> None:
    low, high = rate_interval(7, 12)
    assert stats.binomtest(7, 12, low, "greater").pvalue == pytest.approx(0.025, abs=1e-9)
    assert stats.binomtest(7, 12, high, "less").pvalue == pytest.approx(0.025, abs=1e-9)


def test_without_episodes_nothing_is_known() -> None:
    assert rate_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("episodes", [1, 2, 10, 1000])
def test_the_interval_of_none_and_all(episodes: int) -> None:
    low, high = rate_interval(0, episodes)
    assert low == 0 and high == pytest.approx(1 - 0.025 ** (1 / episodes))
    low, high = rate_interval(episodes, episodes)
    assert high == 1 and low == pytest.approx(0.025 ** (1 / episodes))


def test_the_interval_holds_the_rate_is_symmetric_and_shrinks() -> None:
    for episodes in (1, 3, 20):
        for successes in range(episodes + 1):
            low, high = rate_interval(successes, episodes)
            assert 0 <= low <= successes / episodes <= high <= 1
            assert low < high
            mirrored = rate_interval(episodes - successes, episodes)
            assert mirrored == pytest.approx((1 - high, 1 - low))
            more = rate_interval(10 * successes, 10 * episodes)
            assert more[1] - more[0] < high - low
            surer = rate_interval(successes, episodes, confidence=0.99)
            assert surer[1] - surer[0] > high - low


@pytest.mark.parametrize(("successes", "episodes"), [(-1, 3), (4, 3), (0, -1)])
def test_impossible_counts_are_refused(successes: int, episodes: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        rate_interval(successes, episodes)


def test_the_interval_of_a_rate_agrees_with_scipy() -> None:
    for successes, episodes in ((0, 7), (3, 7), (981, 1000), (49, 50)):
        theirs = stats.binomtest(successes, episodes).proportion_ci(0.95, "exact")
        assert rate_interval(successes, episodes) == pytest.approx(tuple(theirs), abs=1e-9)


def test_clustered_needs_two_tasks_in_every_suite() -> None:
    enough, few = [(1, 2)] * MIN_TASKS, [(1, 2)] * (MIN_TASKS - 1)
    assert clustered([enough, enough]) is not None
    assert clustered([enough, few]) is None
    assert clustered([]) is None


def test_clustered_is_the_exact_interval_where_tasks_are_alike_and_wider_where_they_are_not() -> (
    None
):
    assert clustered([[(5, 10)] * 10]) == pytest.approx(rate_interval(50, 100))
    assert clustered([[(10, 10)] * 4] * 2) == pytest.approx(rate_interval(80, 80))
    assert clustered([[(0, 10)] * 4] * 2) == pytest.approx(rate_interval(0, 80))
    never = clustered([[(0, 20)] * 10] * 2)
    assert never and never[0] == 0
    apart = clustered([[(10, 10), (0, 10)] * 5])
    # Ten tasks that are all or nothing are worth fewer than ten episodes, for Student's quantile.
    assert apart is not None and apart[1] - apart[0] > np.ptp(rate_interval(5, 10))


def test_clustered_agrees_with_the_normal_approximation() -> None:
    tasks = [(successes, 20) for successes in range(21)] * 5
    rates = np.array([successes / episodes for successes, episodes in tasks])
    error = Z * rates.std() / math.sqrt(len(rates))
    assert clustered([tasks]) == pytest.approx((0.5 - error, 0.5 + error), abs=0.01)


def test_clustered_weighs_suites_alike() -> None:
    small, large = [(2, 2)] * 5, [(0, 50)] * 20
    found = clustered([small, large])
    assert found is not None and sum(found) == pytest.approx(1)


# ------------------------------------------------------------------ differences


def cells(both: int, first: int, second: int, neither: int) -> list[tuple[bool, bool]]:
    return (
        [(True, True)] * both + [(True, False)] * first
        + [(False, True)] * second + [(False, False)] * neither
    )  # fmt: skip


UNEVEN: Outcomes = [
    [cells(40, 6, 2, 2), cells(10, 9, 0, 1), cells(20, 1, 4, 0), cells(5, 0, 0, 0)],
    [cells(0, 3, 1, 6), cells(30, 2, 2, 1)],
]


def test_mcnemar_is_the_sign_test_of_the_cells_that_differ() -> None:
    found = paired([[cells(50, 9, 1, 40)]])
    assert (found.cells, found.tasks, found.only_first, found.only_second) == (100, 1, 9, 1)
    assert found.p_cells == found.p_value == pytest.approx(2 * (1 + 10) / 2**10)
    assert found.difference == pytest.approx(0.08)
    # One task tells nothing about tasks.
    assert found.p_tasks is None and found.bootstrap is None and found.task_spread is None
    assert paired([[cells(50, 1, 9, 40)]]).difference == pytest.approx(-0.08)


def test_mcnemar_agrees_with_statsmodels_and_scipy() -> None:
    for first, second in ((0, 0), (0, 5), (9, 1), (40, 40), (120, 77)):
        theirs = their_mcnemar([[1, first], [second, 1]], exact=True).pvalue
        assert float(mcnemar(first, second)) == pytest.approx(theirs, abs=1e-9)
        if first + second:
            sign = stats.binomtest(first, first + second).pvalue
            assert float(mcnemar(first, second)) == pytest.approx(sign, abs=1e-9)


def test_the_task_test_agrees_with_cluster_robust_least_squares() -> None:
    rows = [
        (float(a) - float(b), task)
        for task, outcomes in enumerate(task for suite in UNEVEN for task in suite)
        for a, b in outcomes
    ]
    gains, tasks = np.array(rows).T
    theirs = sm.OLS(gains, np.ones_like(gains)).fit(
        cov_type="cluster", cov_kwds={"groups": tasks.astype(int)}, use_t=True
    )
    tally = Tally.of(UNEVEN)
    assert float(tally.difference) == pytest.approx(theirs.params[0], abs=1e-9)
    assert float(np.sqrt(tally.task_variance)) == pytest.approx(theirs.bse[0], abs=1e-9)
    assert float(task_test(tally)) == pytest.approx(theirs.pvalues[0], abs=1e-9)


def test_the_task_test_of_even_tasks_is_the_t_test() -> None:
    tally = Tally(np.array([3.0, 0, 5, 1]), np.array([1.0, 0, 0, 1]), np.full(4, 8.0))
    theirs = stats.ttest_1samp((tally.only_first - tally.only_second) / 8, 0)
    assert float(task_test(tally)) == pytest.approx(theirs.pvalue, abs=1e-9)


def test_the_p_value_is_the_larger_of_cells_and_tasks() -> None:
    for suites in (UNEVEN, [[cells(0, 4, 0, 0)] * 9], [[cells(9, 1, 0, 0)] * 3]):
        found = paired(suites)
        assert found.p_tasks is not None
        assert found.p_value == max(found.p_cells, found.p_tasks)
        assert found.p_value == pytest.approx(float(difference_test(Tally.of(suites))))


def test_equal_policies_do_not_differ() -> None:
    found = paired([[cells(5, 0, 0, 5)] * 5])
    assert found.p_value == 1 and found.difference == 0 and found.bootstrap == (0, 0)
    # No cell that tells them apart in fifty is what a difference of some points looks like, too.
    assert found.interval == pytest.approx((-(Z**2) / (50 + Z**2), Z**2 / (50 + Z**2)))
    assert paired([]).difference is None and paired([[]]).p_value == 1


def test_the_interval_of_a_difference_widens_when_one_task_makes_it() -> None:
    spread = paired([[cells(10, 2, 0, 8)] * 10])
    lumped = paired([[cells(10, 0, 0, 10)] * 9 + [cells(0, 20, 0, 0)]])
    assert spread.difference == lumped.difference == pytest.approx(0.1)
    assert (
        spread.interval == pytest.approx(proportion_confint(20, 200, method="wilson"))
        and spread.p_value < 1e-5
    )
    assert lumped.interval is not None and lumped.interval[0] < 0 and lumped.p_value > 0.3
    assert lumped.p_cells == spread.p_cells


def test_resampling_agrees_with_the_score_interval_where_there_is_much_of_everything() -> None:
    random = np.random.default_rng(0)
    suites = [
        [cells(*map(int, random.multinomial(200, [0.6, 0.15, 0.1, 0.15]))) for _ in range(20)]
        for _ in range(2)
    ]
    found = paired(suites)
    assert found.bootstrap == pytest.approx(found.interval, abs=0.004)
    assert paired(suites) == found


def test_the_spread_over_tasks_is_found_again() -> None:
    random, spread, tasks = np.random.default_rng(1), 0.1, 4000
    for truth in (spread, 0.0):
        apart = random.normal(0.05, truth, size=tasks)
        shares = np.stack([(0.6 + apart) / 2, (0.6 - apart) / 2, np.full(tasks, 0.4)], axis=1)
        counts = random.multinomial(50, shares).astype(float)
        tally = Tally(counts[:, 0], counts[:, 1], np.full(tasks, 50.0))
        assert float(tally.task_spread**2) == pytest.approx(truth**2, abs=0.0015)


# ------------------------------------------------------------------ score and equivalence


def test_the_score_interval_equals_published_values() -> None:
    # Fagerland, Lydersen & Laake 2014, Statistics in Medicine 33:2850-2875, table V.
    assert score_interval(1, 7, 21, Z) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_the_score_is_mcnemars_at_no_difference() -> None:
    assert float(score(9, 1, 50, 0.0)) == pytest.approx((9 - 1) / math.sqrt(9 + 1))


@pytest.mark.parametrize("counts", [(1, 7, 21), (9, 4, 200), (30, 12, 60)])
def test_the_ends_of_the_score_interval_are_roots_of_a_quartic(counts: tuple[int, ...]) -> None:
    """The likeliest share is a root of a quadratic; put in, z squared leaves a polynomial."""
    first, second, total = counts
    d = Polynomial([0, 1])
    share = ((first - second - total * d) ** 2 / (Z**2 * total) - d * (1 - d)) / 2
    middle = (2 * total - first + second) * d - first - second
    roots = (2 * total * share**2 + middle * share - second * d * (1 - d)).roots()
    for end in score_interval(*counts, Z):
        assert np.abs(roots - end).min() < 1e-9


@pytest.mark.parametrize("difference", [-0.4, -0.05, 0.05, 0.3])
def test_the_score_uses_the_likeliest_counts_under_the_difference(difference: float) -> None:
    first, second, total = 7, 3, 40

    def unlikely(second_share: float) -> float:
        first_share = second_share + difference
        rest = 1 - first_share - second_share
        return -float(
            first * math.log(first_share) + second * math.log(second_share)
            + (total - first - second) * math.log(rest)
        )  # fmt: skip

    low, high = max(0.0, -difference), (1 - difference) / 2
    best = minimize_scalar(
        unlikely, bounds=(low + 1e-9, high - 1e-9), method="bounded", options={"xatol": 1e-10}
    ).x
    variance = total * (2 * best + difference - difference**2)
    expected = (first - second - total * difference) / math.sqrt(variance)
    assert float(score(first, second, total, difference)) == pytest.approx(expected, abs=1e-5)


def test_equivalence_takes_cells_and_tasks_that_agree() -> None:
    few, many = Tally.of([[cells(4, 0, 0, 0)] * 9]), Tally.of([[cells(20, 0, 0, 0)] * 9])
    assert float(equivalence(few, 0.05)) > 0.05 > float(equivalence(many, 0.05))
    assert float(equivalence(few, 0.3)) < 0.05
    # As many cells on either side, but whole tasks of them.
    torn = Tally.of([[cells(80, 20, 0, 0), cells(80, 0, 20, 0)] * 5])
    assert float(equivalence(torn, 0.05)) > 0.05
    even = Tally.of([[cells(80, 10, 10, 0)] * 10])
    assert float(equivalence(even, 0.05)) < 0.05
    for margin in (0.0, 1.0):
        with pytest.raises(ValueError, match="margin"):
            equivalence(few, margin)


def test_equivalence_agrees_with_the_two_one_sided_t_tests_where_cells_are_many() -> None:
    gains = np.array([12.0, -3, 5, 0, -6, 4])
    tally = Tally(30 + gains, np.full(6, 30.0), np.full(6, 400.0))
    theirs = max(
        stats.ttest_1samp(gains / 400, -0.02, alternative="greater").pvalue,
        stats.ttest_1samp(gains / 400, 0.02, alternative="less").pvalue,
    )
    assert float(equivalence(tally, 0.02)) == pytest.approx(theirs, abs=1e-9)


# ------------------------------------------------------------------ several at once


def test_holm_equals_the_textbook() -> None:
    # 0.01 * 4, then 0.03 * 3 = 0.09 is raised from below, 0.03 * 2, and 0.04 stays below it
    assert holm([0.04, 0.01, 0.03, 0.03]) == pytest.approx([0.09, 0.04, 0.09, 0.09])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []
    several = list(np.random.default_rng(0).uniform(0, 0.1, size=15))
    assert holm(several) == pytest.approx(multipletests(several, method="holm")[1], abs=1e-9)


def test_friedman_agrees_with_scipy_and_with_its_definition() -> None:
    rates = {"a": [0.9, 0.8, 0.7, 0.95], "b": [0.8, 0.6, 0.9, 0.9], "c": [0.1, 0.2, 0.1, 0.0]}
    found = ranks(rates)
    assert found is not None
    theirs = stats.friedmanchisquare(*rates.values())
    assert found.statistic == pytest.approx(theirs.statistic, abs=1e-9)
    assert found.p_value == pytest.approx(theirs.pvalue, abs=1e-9)
    assert list(found.mean_ranks.items()) == [("a", 1.25), ("b", 1.75), ("c", 3.0)]
    squares = sum(rank**2 for rank in found.mean_ranks.values())
    assert found.statistic == pytest.approx(12 * 4 / (3 * 4) * squares - 3 * 4 * 4)


def test_critical_distances_equal_published_ones() -> None:
    # Demšar 2006, table 5: q is 2.569 for 4 classifiers at 0.05, and his example has 14 data sets.
    assert critical_distance(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_distance(10, 6) == pytest.approx(3.164 * math.sqrt(110 / 36), abs=2e-3)


def test_groups_of_ranks_are_largest_and_not_within_one_another() -> None:
    random = np.random.default_rng(3)
    means = {"a": 0.9, "b": 0.85, "c": 0.5, "d": 0.1}
    found = ranks({name: list(m + random.normal(0, 0.1, 30)) for name, m in means.items()})
    assert found is not None and found.p_value < 1e-6
    assert list(found.mean_ranks) == ["a", "b", "c", "d"]
    assert found.groups == [["a", "b"]]
    tied = ranks({name: [0.5] * 6 for name in "abc"})
    assert tied is not None and tied.p_value == 1 and tied.groups == [["a", "b", "c"]]
    assert ranks({"a": [1, 0], "b": [0, 1]}) is None and ranks({k: [1.0] for k in "abc"}) is None


# ------------------------------------------------------------------ verdicts


def judged(*suites: Outcomes) -> list[Verdict]:
    return verdicts([paired(one) for one in suites])


def test_verdicts_in_words() -> None:
    broken = [[cells(0, 4, 0, 0)] * 3] * 3
    better, worse = judged(broken, [[[(b, a) for a, b in task] for task in s] for s in broken])
    assert (better.text, worse.text) == ("better", "worse")
    same = judged([[cells(45, 0, 0, 5)] * 10] * 4)[0]
    assert (same.kind, same.text) == ("equivalent", "equivalent within 5 points")
    small = judged([[cells(484, 12, 2, 2)] * 10] * 4)[0]
    assert (small.kind, small.text) == ("better", "better, by less than 5 points")
    assert judged([])[0].text == "undecided: no cell that both finished"
    assert verdicts([]) == []


def test_a_copy_is_never_better() -> None:
    for states in (1, 2, 50):
        kind = judged([[cells(states, 0, 0, states)] * 3] * 3)[0].kind
        assert kind == ("equivalent" if states == 50 else "undecided")


def test_a_difference_that_tasks_do_not_agree_on_needs_more_tasks() -> None:
    torn = judged([[cells(0, 50, 0, 0), cells(0, 0, 50, 0)] * 4])[0]
    assert torn.text == "undecided: needs more tasks" and torn.more_episodes is None


def test_many_comparisons_together_are_judged_more_strictly() -> None:
    one = [[cells(20, 3, 0, 2), cells(20, 2, 0, 3), cells(20, 3, 1, 1), cells(20, 2, 0, 3)]]
    assert judged(one)[0].kind == "better"
    among = judged(*[one] * 20)[0]
    assert among.kind == "undecided" and among.p_difference == pytest.approx(
        20 * judged(one)[0].p_difference
    )


def test_as_many_more_episodes_as_an_undecided_verdict_names_decide_it() -> None:
    random, decided, tries = np.random.default_rng(4), 0, 300
    before = Tally.of([[cells(17, 2, 1, 0)] * 10])
    found = paired([[cells(17, 2, 1, 0)] * 10])
    more = judged([[cells(17, 2, 1, 0)] * 10])[0].more_episodes
    assert more is not None and more > 0
    each = (found.cells + more) // 10
    shares = [0.1, 0.05, 0.85]  # what the cells so far look like
    for _ in range(tries):
        drawn = random.multinomial(each, shares, size=10).astype(float)
        tally = Tally(drawn[:, 0], drawn[:, 1], np.full(10, float(each)))
        decided += bool(difference_test(tally) <= 0.05 or equivalence(tally) <= 0.05)
    assert before.tasks == 10 and 0.7 < decided / tries < 0.92


# ------------------------------------------------------------------ standing


def test_ranks_are_those_that_verdicts_leave_open() -> None:
    found = standing(
        ["a", "b", "c", "d"],
        [
            ("a", "b", "undecided"), ("a", "c", "better"), ("d", "a", "worse"),
            ("c", "b", "equivalent"), ("b", "d", "better"), ("c", "d", "undecided"),
            ("a", "control", "better"),
        ],
    )  # fmt: skip
    assert found is not None
    assert found.ranks == {"a": (1, 2), "b": (1, 3), "c": (2, 4), "d": (3, 4)}
    assert found.best == ["a", "b"]
    assert standing(["a"], []) is None
    assert standing(["a", "b", "c"], [("a", "b", "better")]) is None, "not every two were compared"


# ------------------------------------------------------------------ power


def test_the_published_difference_takes_as_many_episodes_as_is_known() -> None:
    assert episodes_unpaired(0.976, 0.984) == pytest.approx(4800, rel=0.01)


def test_pairing_saves_what_correlation_gives() -> None:
    assert discordance(0.9, 0.9, 1.0) == pytest.approx(0)
    assert discordance(0.95, 0.98, 0.0) == pytest.approx(0.95 * 0.02 + 0.05 * 0.98)
    highest = highest_correlation(0.95, 0.98)
    assert discordance(0.95, 0.98, highest) == pytest.approx(0.03), "all that is left is the gain"
    assert highest_correlation(0.95, 1.0) == 0
    needed = [episodes_paired(0.03, discordance(0.95, 0.98, r)) for r in (0.0, 0.3, 0.6)]
    assert needed == sorted(needed, reverse=True)


def test_tasks_that_differ_cost_episodes_and_at_last_cannot_be_outnumbered() -> None:
    alike = episodes_paired(0.05, 0.2, tasks=40)
    apart = episodes_paired(0.05, 0.2, tasks=40, task_spread=0.05)
    assert alike < apart < math.inf
    assert math.isinf(episodes_paired(0.05, 0.2, tasks=4, task_spread=0.1))


# ------------------------------------------------------------------ early stop


def test_evidence_is_the_wealth_of_one_who_bets() -> None:
    rounds = np.array([[1, 0], [1, -1], [0, 0]], dtype=np.int8)
    effect, guess = 0.1, 0.2
    found = evidence(rounds, effect, guess)
    stakes = [effect / guess, effect / ((1 + guess) / 3), effect / ((3 + guess) / 5)]
    wealth, against = 1.0, 1.0
    for round_, stake in enumerate(stakes):
        for gain in rounds[round_]:
            wealth *= 1 + stake * gain
            against *= 1 + stake * (effect - gain)
        assert found.better[round_] == pytest.approx(math.log(wealth))
        assert found.not_better[round_] == pytest.approx(math.log(against))
    mirrored = evidence(-rounds, effect, guess)
    assert np.allclose(mirrored.worse, found.better)
    assert np.allclose(mirrored.not_worse, found.not_better)


def test_stop_says_when_and_what() -> None:
    ones = np.ones((30, 4), dtype=np.int8)
    won = stop(ones, 0.1)
    assert won.decision == "better" and 1 < won.rounds < 10
    assert stop(ones[: won.rounds - 1], 0.1).decision is None
    assert stop(ones[: won.rounds], 0.1) == won
    assert stop(-ones, 0.1).decision == "worse"
    same = stop(0 * ones, 0.1)
    assert same.decision == "no such difference" and same.rounds < 30
    assert stop(ones[:0], 0.1).rounds == 0


@pytest.mark.parametrize("episodes", [1, 2, 10, 57, 500, 12.5])
def test_exact_intervals_are_those_of_statsmodels(episodes: float) -> None:
    """Whole counts and not, none and all of them."""
    successes = np.linspace(0, episodes, 23)
    theirs = sm.stats.proportion_confint(successes, episodes, 0.05, method="beta")
    assert clopper_pearson(successes, episodes) == pytest.approx(np.array(theirs), abs=1e-12)
