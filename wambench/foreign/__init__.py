"""Results that other harnesses wrote, read as what they tell and nothing more."""

from wambench.foreign.importing import import_results
from wambench.foreign.places import Place
from wambench.foreign.reading import read
from wambench.foreign.runs import of_episodes
from wambench.foreign.source import Source
from wambench.foreign.table import check_roles, column_map, of_table

__all__ = [
    "Place",
    "Source",
    "check_roles",
    "column_map",
    "import_results",
    "of_episodes",
    "of_table",
    "read",
]
