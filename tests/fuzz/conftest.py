"""What came of the fuzz tests, at the end of the report, whatever process ran them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import fuzzing


@pytest.fixture(autouse=True)
def counts_are_reported(record_property: Callable[[str, object], None]) -> Iterator[None]:
    fuzzing.SAID.clear()
    yield
    for line in fuzzing.SAID:
        record_property("fuzz", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for several in terminalreporter.stats.values() for report in several]
    said = {value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "fuzz"}
    if said:
        terminalreporter.section("cases by outcome")
        for line in sorted(said):
            terminalreporter.write_line(line)
