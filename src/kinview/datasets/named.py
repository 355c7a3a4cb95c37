"""Data sets by name: registered ones, and folders in the data folder."""

from __future__ import annotations

import inspect
import os
from typing import Any

from kinview.datasets import datasets
from kinview.datasets.column_names import check_column_names
from kinview.datasets.dataset import Dataset
from kinview.datasets.folders import find_folder, folder_names, load_folder

__all__ = ["available", "load"]


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    split_seed: int = 0,
    test_fraction: float = 0.3,
    as_classes: bool = False,
    **options: Any,
) -> Dataset:
    """Load a data set by name; nothing is downloaded.

    Parameters
    ----------
    name : str
        A registered name (``kinview list datasets``), else a folder in the data folder, in upper or lower case. The
        folder holds ``X_TRAIN`` and ``X_TEST`` (``.ts``, ``.tsv``, ``.arff``, ``.txt`` or no extension), a PhysioNet
        2012 challenge, WFDB records, or one wide table (``.csv``, ``.data``, ``.arff``, ``.parquet``).
    data_dir : path, optional
        The data folder; default is the environment variable ``KINVIEW_DATA``.
    split_seed : int, default 0
        Seed of the split of data without an official one (stratified by label, whole groups on one side). Data with an
        official split keep it.
    test_fraction : float, default 0.3
        Fraction of the samples in the test part of such a split.
    as_classes : bool, default False
        Whether labels that are numbers with fractions (grades in half points, say) are the names of classes; see
        :meth:`Dataset.as_classes`.
    **options : Any
        Parameters of the reader; for tables those of :func:`read_wide` (``label``, the last column unless given,
        ``drop``, ``group``, ...), for WFDB records those of :func:`read_wfdb` (``seconds``, ``signals``). For every
        folder ``follow_links=True`` allows links that leave it (and the data folder).

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If the name is a path, is unknown (the message says what is near), or an option does not apply.
    TypeError
        If the name is not text.
    FileNotFoundError
        If the data folder, or a file that should be in it, does not exist.

    Examples
    --------
    >>> load("italy_power_demand").describe()
    'italy_power_demand: 67 train / 1029 test, 1 channel, length 24, 2 classes, 0.0 % missing'
    >>> load("iris", test_fraction=0.5).describe()
    'iris: 75 train / 75 test, 4 columns, 3 classes, 0.0 % missing'
    """
    if not isinstance(name, str):
        raise TypeError(
            f"load takes the name of a data set as text, load('gunpoint'); got {type(name).__name__} {name!r}. "
            f"A file or folder is read by kinview.datasets.load_path"
        )
    check_column_names(options)
    if name not in datasets:
        links = options.get("follow_links", False)
        folder = find_folder(name, data_dir, others=list(datasets), follow_links=links)
        return load_folder(folder, split_seed=split_seed, test_fraction=test_fraction, as_classes=as_classes, **options)
    known = inspect.signature(datasets[name].target).parameters
    given = {"data_dir": data_dir, "split_seed": split_seed, "test_fraction": test_fraction}
    context = {key: value for key, value in given.items() if key in known}
    data = datasets.build({name: options}, **context)
    if not isinstance(data, Dataset):
        raise TypeError(
            f"data set {name!r} was built as {type(data).__name__}; a registered data set returns a Dataset"
        )
    return data.as_classes() if as_classes else data


def available(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Registered names, then the folders in the data folder.

    Examples
    --------
    >>> available()[:3]
    ['acsf1', 'arrowhead', 'basic_motions']
    """
    return [*datasets, *folder_names(data_dir)]
