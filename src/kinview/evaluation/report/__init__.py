"""The results of a benchmark for people: a table for the terminal and a self-contained HTML report."""

from __future__ import annotations

from kinview.evaluation.report.html import write_report
from kinview.evaluation.report.table import format_table

__all__ = ["format_table", "write_report"]
