"""The README does what it says."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from helpers import ROOT
from kinview.augmentations import augmentations
from kinview.cli import main
from kinview.losses import losses

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_block_holds_the_two_commands_that_the_gate_runs():
    commands = re.search(r"```sh\n(.*?)```", README, flags=re.S)[1].strip().splitlines()
    assert commands == ['pip install -c constraints.txt -e ".[test]" && kinview bench quickstart', "pytest"]
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'bash -c "$(readme_command 1)"' in gate
    assert 'bash -c "$(readme_command 2)"' in gate


@pytest.mark.slow
def test_the_python_example_runs(tmp_path):
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.S))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    clean, gaps = (float(x) for x in re.fullmatch(r"accuracy (0\.\d+), with gaps (0\.\d+)\n", done.stdout).groups())
    assert clean > 0.9 and 0.6 < gaps < clean
    assert (tmp_path / "encoder.safetensors").stat().st_size > 100_000


def test_every_command_line_in_the_readme_parses(capsys):
    lines = re.search(r"```text\n(.*?)```", README, flags=re.S)[1].strip().splitlines()
    assert len(lines) >= 7
    for line in lines:
        command = line.split()[1:]
        if command[0] in ("bench", "list", "report"):
            continue
        assert main([*command, "--print_config"]) == 0, capsys.readouterr().err


PAGES = sorted(
    str(file.relative_to(ROOT))
    for file in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/methods/*.md"))
)


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    assert all(((ROOT / page).parent / target).exists() for target in targets), targets


def test_the_counts_are_those_of_the_registries() -> None:
    assert f"{len(augmentations)} [augmentations]" in README and f"{len(losses)} losses" in README
