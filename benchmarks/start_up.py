"""What a process costs before its first result: processor seconds of imports, of lists and of a first training step.

    python benchmarks/start_up.py [--runs 5] [--against COMMIT]

Each line is a fresh Python process, its user and system seconds together; the median over the runs, and in brackets the
lowest. With a commit the package of then is run in turn with this one, and the last column is what is left of it: the
median of the ratios of the turns, which other work on the machine moves less than the seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST_STEP = """
from kinview import TS2Vec, Trainer
import numpy as np
X = np.random.default_rng(0).normal(size=(32, 2, 50))
TS2Vec(trainer=Trainer(max_steps=1, batch_size=8, progress=False), random_state=0).fit(X)
"""
PROCESSES = {
    "import torch, sktime.base": ["-c", "import torch, sktime.base"],
    "import kinview": ["-c", "import kinview"],
    "kinview --help": ["-m", "kinview.cli", "--help"],
    "kinview list methods": ["-m", "kinview.cli", "list", "methods"],
    "kinview list augmentations": ["-m", "kinview.cli", "list", "augmentations"],
    "from kinview import TS2Vec": ["-c", "from kinview import TS2Vec"],
    "the same and one step": ["-c", FIRST_STEP],
}


def seconds(words: list[str], source: Path) -> float:
    """Processor seconds of a fresh Python with the package of this folder."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--against", metavar="COMMIT", help="also run the package of this commit")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = [ROOT / "src"]
        if options.against is not None:
            archive = subprocess.run(
                ["git", "archive", options.against, "src"], cwd=ROOT, capture_output=True, check=True
            )
            subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
            sources.insert(0, Path(folder) / "src")
        names = ["before", "now"][-len(sources) :]
        print(f"{'':28}" + "".join(f"{name:>16}" for name in names) + ("  now / before" if len(names) > 1 else ""))
        for label, words in PROCESSES.items():
            for source in sources:  # files are read and compiled once before they are timed
                seconds(words, source)
            turns = [[seconds(words, source) for source in sources] for _ in range(options.runs)]
            cells = [f"{statistics.median(column):.2f} ({min(column):.2f})" for column in zip(*turns)]
            ratio = [f"{statistics.median(turn[1] / turn[0] for turn in turns):14.2f}"] if len(names) > 1 else []
            print(f"{label:28}" + "".join(f"{cell:>16}" for cell in cells) + "".join(ratio), flush=True)


if __name__ == "__main__":
    main()
