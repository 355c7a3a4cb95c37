"""Fixtures and settings shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

# Several test processes share the cores: one thread each, also in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

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
