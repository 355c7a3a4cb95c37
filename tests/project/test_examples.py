"""The examples run, warnings being errors, and are what the pages show of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT

EXAMPLES = {path.stem: path for path in (ROOT / "examples").glob("*.py")}
SAID = {
    "own_augmentation": r"saturate passes \d\d checks",
    "own_corruption": r"loose_contact passes 13 checks\nmcar: 40% .*\nloose_contact: 40%",
    "own_encoder": r"gru passes 14 checks\naccuracy",
    "own_method": r"hidden_steps passes 28 checks\naccuracy",
}


def ran(path: Path) -> str:
    done = subprocess.run([sys.executable, "-W", "error", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_here() -> None:
    assert set(SAID) == set(EXAMPLES)


@pytest.mark.parametrize("name", ["own_augmentation", "own_corruption"])
def test_an_example_runs(name: str) -> None:
    assert re.match(SAID[name], ran(EXAMPLES[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_encoder", "own_method"])
def test_an_example_that_trains_runs(name: str) -> None:
    assert re.match(SAID[name], ran(EXAMPLES[name]))


def test_contributing_shows_what_runs() -> None:
    shown = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.S)
    assert len(shown) == 3
    for block in shown:
        assert any(block in path.read_text() for path in EXAMPLES.values()), block
