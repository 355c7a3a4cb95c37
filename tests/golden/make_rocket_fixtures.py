"""Features of sktime's Rocket transforms and of Hydra's official code, with their kernels and thresholds, as a fixture.

    python tests/golden/make_rocket_fixtures.py tests/golden/rocket.npz path/to/hydra/code

The second folder is ``code`` of github.com/angus924/hydra. It needs numba beside sktime (whose extra pins numba<0.68);
the package and its tests do not. The versions that it ran with are in the file.
"""

from __future__ import annotations

import sys

import numba
import numpy as np
import sktime
import torch
from sktime.transformations.rocket import MiniRocket, MiniRocketMultivariate, MultiRocket


def hydra(folder: str, one: np.ndarray, many: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of the official code for 4 groups of 8 kernels."""
    sys.path.insert(0, folder)
    from hydra import Hydra
    from hydra_multivariate import HydraMultivariate

    torch.manual_seed(0)
    of_one, of_many = Hydra(one.shape[2], g=4), HydraMultivariate(many.shape[2], many.shape[1], g=4)
    found = {"hydra_many_members": torch.stack(list(of_many.I)).numpy()}  # (dilations, 2, groups, channels)
    for name, model, x in (("one", of_one, one), ("many", of_many, many)):
        found[f"hydra_{name}_weights"] = torch.stack(list(model.W)).unflatten(2, (2, 8)).squeeze(4).numpy()
        found[f"hydra_{name}"] = model(torch.tensor(x)).numpy()
    return found


def main(path: str, folder: str) -> None:
    random = np.random.default_rng(0)
    one = random.normal(size=(6, 1, 40)).cumsum(axis=2).astype(np.float32)
    many = random.normal(size=(4, 3, 33)).cumsum(axis=2).astype(np.float32)
    found = {"one": one, "many": many}

    mini = MiniRocket(num_kernels=420, random_state=0).fit(one)
    found["minirocket_thresholds"] = mini.parameters[2]
    found["minirocket"] = mini.transform(one).to_numpy()

    multi = MultiRocket(num_kernels=168, random_state=0).fit(one.astype(np.float64))
    found["multirocket_thresholds"] = multi.parameter[2]
    found["multirocket_difference_thresholds"] = multi.parameter1[2]
    found["multirocket"] = multi.transform(one.astype(np.float64)).to_numpy()

    several = MiniRocketMultivariate(num_kernels=420, random_state=0).fit(many)
    sizes, channels, _, _, thresholds = several.parameters
    subsets = np.zeros((len(sizes), many.shape[1]), dtype=bool)
    ends = np.cumsum(sizes)
    for row, (end, size) in enumerate(zip(ends, sizes, strict=True)):
        subsets[row, channels[end - size : end]] = True
    found["multivariate_subsets"], found["multivariate_thresholds"] = subsets, thresholds
    found["multivariate"] = several.transform(many).to_numpy()

    found |= hydra(folder, one, many)
    versions = {"sktime": sktime.__version__, "numba": numba.__version__, "torch": torch.__version__}
    found["versions"] = np.array([f"{name} {version}" for name, version in versions.items()])
    np.savez_compressed(path, **found)
    sys.stdout.write(f"{path}: {', '.join(found['versions'])}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
