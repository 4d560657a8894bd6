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
from analysis.statistics.intervals import CONFIDENCE, MIN_TASKS, Interval, clustered, wilson
from analysis.statistics.iso_success import IsoSuccess, iso_success
from analysis.statistics.multiple import holm
from analysis.statistics.paired import Paired, difference_test, mcnemar, paired, task_test
from analysis.statistics.power import (
    POWER,
    discordance,
    episodes_paired,
    episodes_unpaired,
    highest_correlation,
)
from analysis.statistics.ranks import Ranks, ranks
from analysis.statistics.sequential import Evidence, Stop, evidence, stop
from analysis.statistics.tally import Outcomes, Tally
from analysis.statistics.verdicts import OF_DROPS, Kind, Verdict, verdicts

__all__ = [
    "CONFIDENCE",
    "MARGIN",
    "MIN_TASKS",
    "OF_DROPS",
    "POWER",
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
    "Stop",
    "Tally",
    "Verdict",
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
    "ranks",
    "stop",
    "task_test",
    "verdicts",
    "wilson",
]
