"""Data sets by name: those that come with the dependencies, and those with a layout of their own."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from kinview.data.modality import SERIES, TABLE
from kinview.datasets import datasets
from kinview.datasets._links import check_links
from kinview.datasets.archives import read_ts
from kinview.datasets.dataset import Dataset, split
from kinview.datasets.folders import data_folder, load_folder
from kinview.datasets.physionet2012 import is_physionet2012
from kinview.datasets.samples import Samples

_UCR = "Dau et al. (2019), The UCR time series archive"
_UEA = "Bagnall et al. (2018), The UEA multivariate time series classification archive"
_UCI = "UCI machine learning repository"
_LARS = "Efron et al. (2004), Least angle regression, Annals of Statistics 32"
_SKTIME = {  # name: folder in sktime, what it is, reference
    "acsf1": ("ACSF1", "Power of 10 kinds of home appliances, 1 channel, 1,460 steps.", _UCR),
    "arrowhead": ("ArrowHead", "Outlines of 3 kinds of arrowheads, 1 channel, 251 steps.", _UCR),
    "basic_motions": ("BasicMotions", "Accelerometer and gyroscope in 4 activities, 6 channels, 100 steps.", _UEA),
    "gunpoint": ("GunPoint", "Hand of an actor with or without a gun, 1 channel, 150 steps.", _UCR),
    "italy_power_demand": ("ItalyPowerDemand", "Power demand in winter or summer, 1 channel, 24 steps.", _UCR),
    "japanese_vowels": ("JapaneseVowels", "9 speakers of two vowels, 12 channels, 7-29 steps.", _UEA),
    "osuleaf": ("OSULeaf", "Outlines of the leaves of 6 trees, 1 channel, 427 steps.", _UCR),
    "plaid": ("PLAID", "Current of 11 kinds of appliances, 1 channel, 101-1,344 steps.", _UCR),
}
_SKLEARN = {
    "breast_cancer": "Cell nuclei of 2 kinds of breast tumours, 30 numeric columns, 569 rows.",
    "diabetes": "Progression of diabetes in a year, a number to predict, 10 numeric columns, 442 rows.",
    "digits": "8 x 8 images of 10 digits, 64 numeric columns, 1,797 rows.",
    "iris": "Flowers of 3 kinds of iris, 4 numeric columns, 150 rows.",
    "wine": "Chemistry of wines of 3 cultivars, 13 numeric columns, 178 rows.",
}
_REGRESSION = ("diabetes",)


def _sktime_loader(name: str, folder: str) -> Callable[[], Dataset]:
    def load() -> Dataset:
        found = importlib.util.find_spec("sktime")
        if found is None or not found.submodule_search_locations:
            raise ModuleNotFoundError(
                f"data set {name!r} comes with sktime, which is not installed: pip install sktime"
            )
        home = Path(found.submodule_search_locations[0], "datasets", "data", folder)
        files = [home / f"{folder}_{part}.ts" for part in ("TRAIN", "TEST")]
        version = importlib.metadata.version("sktime")
        absent = [file.name for file in files if not file.is_file()]
        if absent:
            raise FileNotFoundError(
                f"data set {name!r} comes with sktime, but sktime {version} lacks {absent[0]}; install the version in "
                f"constraints.txt"
            )
        train, test = (read_ts(file) for file in files)
        return Dataset.of(train, test, name=name, source=f"sktime {version}, {folder}")

    return load


def _sklearn_loader(name: str) -> Callable[..., Dataset]:
    def load(*, split_seed: int = 0, test_fraction: float = 0.3) -> Dataset:
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
        samples = Samples(bunch.data, bunch.target.to_numpy(), None, TABLE)
        source = f"scikit-learn {importlib.metadata.version('scikit-learn')}"
        data = split(samples, name=name, source=source, split_seed=split_seed, test_fraction=test_fraction)
        return data.as_regression() if name in _REGRESSION else data

    return load


@datasets.register(
    "physionet2012", modality="time_series", reference="Silva et al. (2012), Computing in Cardiology 39:245-248"
)
def physionet2012(
    *,
    data_dir: str | os.PathLike[str] | None = None,
    split_seed: int = 0,
    test_fraction: float = 0.3,
    descriptors: bool = True,
    resample: float | None = None,
    follow_links: bool = False,
) -> Dataset:
    """48 hours of intensive care, 37 irregular variables, or their means in bins of hours; from the data folder.

    The folder that holds ``set-a`` and ``Outcomes-a.txt`` is the data folder itself, or the only one in it. Links that
    leave the data folder are refused unless ``follow_links``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If there are several, or the one is a link that leaves the data folder.
    """
    root = data_folder(data_dir)
    if root is None:
        raise FileNotFoundError(
            "physionet2012 is read from disk: set KINVIEW_DATA or data_dir to the folder of your data"
        )
    found = [folder for folder in (root, *sorted(root.iterdir())) if folder.is_dir() and is_physionet2012(folder)]
    if not found:
        raise FileNotFoundError(f"{root} holds no folder with set-a and Outcomes-a.txt; get them from physionet.org")
    if len(found) > 1:
        raise ValueError(
            f"several folders hold the challenge ({', '.join(f.name for f in found)}); load one by its name"
        )
    if found[0] != root:
        check_links(found, root, follow_links=follow_links)
    data = load_folder(
        found[0],
        split_seed=split_seed,
        test_fraction=test_fraction,
        descriptors=descriptors,
        resample=resample,
        follow_links=follow_links,
    )
    return dataclasses.replace(data, name="physionet2012")


def _register(name: str, loader: Callable[..., Dataset], summary: str, modality: str, reference: str) -> None:
    loader.__doc__ = summary
    loader.__name__ = loader.__qualname__ = name
    datasets.register(name, modality=modality, reference=reference)(loader)


for _name, (_folder, _summary, _reference) in _SKTIME.items():
    _register(_name, _sktime_loader(_name, _folder), _summary, SERIES, _reference)
for _name, _summary in _SKLEARN.items():
    _register(_name, _sklearn_loader(_name), _summary, TABLE, _LARS if _name in _REGRESSION else _UCI)
