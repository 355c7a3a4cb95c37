"""All tables of speed and memory, one after the other, their text and figures into a folder.

python benchmarks/speed.py FOLDER --ts2vec OFFICIAL_CLONE
python benchmarks/speed.py FOLDER --only growth steps

Each script says by itself what it measures; all together take about an hour on two cores that nothing else uses. Tables
of a script that fails are named at the end.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def commands(folder: Path, ts2vec: str | None) -> dict[str, list[str]]:
    """Arguments of each script by the name of its table."""
    found = {
        "start_up": ["start_up.py"],
        "steps": ["steps.py", "all", "--threads", "1", "--steps", "20", "--json", str(folder / "steps.json")],
        "growth": ["growth.py", "--json", str(folder / "growth.json")],
        "losses_hierarchical": ["losses.py", "hierarchical"],
        "losses_nt_xent": ["losses.py", "nt_xent"],
        "augmentations": ["augmentations.py"],
        "rocket": ["rocket.py", "speed"],
        "completion": ["completion.py"],
        "grid_overhead": ["grid_overhead.py"],
        "predictions": ["predictions.py"],
        "gradient_caching": ["gradient_caching.py"],
        "several_processes": ["several_processes.py"],
        "larger_than_memory": ["larger_than_memory.py"],
    }
    if ts2vec is not None:
        for threads in ("1", "2"):
            name = f"official_ts2vec_{threads}"
            found[name] = ["official_ts2vec.py", ts2vec, "--threads", threads, "--json", str(folder / f"{name}.json")]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder for the text of each table")
    parser.add_argument("--ts2vec", help="a clone of the official repository of TS2Vec")
    parser.add_argument("--only", nargs="*", help="names of tables")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    every = commands(options.folder, options.ts2vec)
    unknown = set(options.only or ()) - set(every)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    failed = []
    for name in options.only or every:
        print(f"== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, HERE / every[name][0], *every[name][1:]], capture_output=True, text=True, check=False
        )
        (options.folder / f"{name}.txt").write_text(done.stdout)
        print(done.stdout)
        if done.returncode:
            failed.append(name)
            print(done.stderr[-2000:], file=sys.stderr)
    if failed:
        sys.exit(f"these failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
