"""Fixtures and settings shared by all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Several test processes share the cores: one thread each, also in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from tiers import refuse_two_tiers

# How long drawing and running an example takes depends on what else the machine does: no test asserts a time.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the outputs of official implementations that ship with the tests."""
    return GOLDEN


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of public data sets that are not part of the repository."""
    folder = os.environ.get("KINVIEW_DATA")
    if not folder:
        pytest.skip("KINVIEW_DATA does not name a folder of public data sets")
    return Path(folder)


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Let SIGINT interrupt this process and those that it starts: the background jobs of shells ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tiers apart."""
    refuse_two_tiers(items)
