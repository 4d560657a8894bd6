"""The tables of a report as CSV, LaTeX and Markdown, for papers and spreadsheets."""

from analysis.report.sheets.writing import sheets, write_sheets

__all__ = ["sheets", "write_sheets"]
