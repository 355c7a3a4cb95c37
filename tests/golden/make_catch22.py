"""Write catch22.json: series, and what pycatch22 1.0.2 says of them.

pip install pycatch22==1.0.2 && python tests/golden/make_catch22.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pycatch22  # type: ignore[import-not-found,unused-ignore]


def drawn() -> dict[str, np.ndarray]:
    """Series of many kinds and lengths."""
    rng = np.random.default_rng(22)
    series = {
        "noise of 150": rng.normal(size=150),
        "walk of 96": rng.normal(size=96).cumsum(),
        "noisy sine of 200": np.sin(np.arange(200) / 3) + 0.2 * rng.normal(size=200),
        "skewed of 64": np.exp(rng.normal(size=64)),
    }
    autoregressive = np.zeros(300)
    for i in range(1, 300):
        autoregressive[i] = 0.9 * autoregressive[i - 1] + rng.normal()
    return series | {
        "autoregressive of 300": autoregressive,
        "counts of 50": rng.poisson(3, size=50).astype(float),
        "steps of 80": np.repeat(rng.normal(size=16), 5),
        "offset of 79": 1e6 + rng.normal(size=79),
        "short of 7": rng.normal(size=7),
        "short of 12": rng.normal(size=12),
        "two steps": np.array([1.0, 2.0]),
        "one step": np.array([3.0]),
        "constant of 30": np.full(30, 4.0),
        "parabola of 40": (np.arange(40.0) - 11) ** 2,
    }


def main() -> None:
    """Write the file beside this one."""
    found = {}
    for name, values in drawn().items():
        rounded = np.round(values, 6).tolist()
        features = pycatch22.catch22_all(rounded, catch24=True)["values"]
        found[name] = {"values": rounded, "features": [None if np.isnan(value) else value for value in features]}
    names = pycatch22.catch22_all([1.0, 2.0, 4.0], catch24=True, short_names=True)["short_names"]
    content = {"made_with": "pycatch22 1.0.2, catch22_all(series, catch24=True)", "names": names, "series": found}
    path = Path(__file__).with_name("catch22.json")
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
