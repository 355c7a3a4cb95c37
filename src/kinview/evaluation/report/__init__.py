"""The results of a benchmark for people: a table for the terminal, a self-contained page, tables, cells and figures."""

from __future__ import annotations

from kinview.evaluation.report.content import Report
from kinview.evaluation.report.html import write_report
from kinview.evaluation.report.table import format_table

__all__ = ["Report", "format_table", "write_report"]
