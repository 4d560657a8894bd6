"""Results that other harnesses wrote, read as what they tell and nothing more."""

from wambench.foreign.importing import import_results
from wambench.foreign.places import Place
from wambench.foreign.reading import read
from wambench.foreign.source import Source
from wambench.foreign.table import column_map

__all__ = ["Place", "Source", "column_map", "import_results", "read"]
