"""Largest absolute difference to each array of the official implementations.

python benchmarks/golden_parity.py tests/golden
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from golden_comparison import GOLDEN  # the tests make the same comparison


def main() -> None:
    """Print one line an array, and the largest difference of all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with the safetensors files")
    folder = parser.parse_args().folder
    worst = 0.0
    for name, compare in GOLDEN.items():
        path = folder / f"{name}.safetensors"
        if not path.is_file():
            print(f"{name}: not in {folder}")
            continue
        for array, largest in compare(load_file(path)):
            worst = max(worst, largest)
            print(f"{name:<16} {array:<44} {largest:.1e}")
    print(f"largest difference: {worst:.1e}")


if __name__ == "__main__":
    main()
