"""The one place for statistics of outcomes: how sure a rate is, and a difference of two.

scipy and statsmodels do the mathematics; what is added is that episodes of one task are not
independent. Everywhere the same rule holds: tasks may widen an interval or raise a p-value, and
never narrow or lower it.
"""

from analysis.statistics.drops import (
    Design,
    Drop,
    DropDifference,
    drop,
    drop_difference,
)
from analysis.statistics.equivalence import MARGIN, equivalence
from analysis.statistics.intervals import (
    CONFIDENCE,
    MIN_TASKS,
    Interval,
    clopper_pearson,
    clustered,
    rate_interval,
)
from analysis.statistics.iso_success import IsoSuccess, iso_success
from analysis.statistics.multiple import holm
from analysis.statistics.paired import Paired, difference_test, mcnemar, paired, task_test
from analysis.statistics.power import (
    POWER,
    SWEEPS,
    discordance,
    highest_correlation,
    paired_power,
    sweep_power,
    unpaired_power,
)
from analysis.statistics.ranks import Ranks, ranks
from analysis.statistics.sample_size import episodes_paired, episodes_unpaired, power_at_most
from analysis.statistics.sequential import Evidence, Stop, evidence, stop
from analysis.statistics.standing import Standing, standing
from analysis.statistics.tally import Outcomes, Tally
from analysis.statistics.trend import Trend, trend
from analysis.statistics.unpaired import Unpaired, unpaired, unpaired_interval, unpaired_test
from analysis.statistics.verdicts import OF_DROPS, Kind, Verdict, verdicts

__all__ = [
    "CONFIDENCE",
    "MARGIN",
    "MIN_TASKS",
    "OF_DROPS",
    "POWER",
    "SWEEPS",
    "Design",
    "Drop",
    "DropDifference",
    "Evidence",
    "Interval",
    "IsoSuccess",
    "Kind",
    "Outcomes",
    "Paired",
    "Ranks",
    "Standing",
    "Stop",
    "Tally",
    "Trend",
    "Unpaired",
    "Verdict",
    "clopper_pearson",
    "clustered",
    "difference_test",
    "discordance",
    "drop",
    "drop_difference",
    "episodes_paired",
    "episodes_unpaired",
    "equivalence",
    "evidence",
    "highest_correlation",
    "holm",
    "iso_success",
    "mcnemar",
    "paired",
    "paired_power",
    "power_at_most",
    "ranks",
    "rate_interval",
    "standing",
    "stop",
    "sweep_power",
    "task_test",
    "trend",
    "unpaired",
    "unpaired_interval",
    "unpaired_power",
    "unpaired_test",
    "verdicts",
]
