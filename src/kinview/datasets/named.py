"""Data sets by name: registered ones, and folders in the data folder."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping
from typing import Any

from kinview.datasets import datasets
from kinview.datasets.column_names import check_column_names
from kinview.datasets.dataset import Dataset
from kinview.datasets.folders import find_folder, folder_names, load_folder, load_path
from kinview.datasets.targets import Task, check_task

__all__ = ["available", "load"]


def load(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    path: str | os.PathLike[str] | None = None,
    format: str = "auto",
    split_seed: int = 0,
    test_fraction: float = 0.3,
    as_classes: bool = False,
    task: Task = "classification",
    static_to: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    r"""Load a data set by name, or a file under a name of your own; nothing is downloaded.

    Parameters
    ----------
    name : str
        A registered name (``kinview list datasets``), else a folder in the data folder, in upper or lower case. The
        folder holds ``X_TRAIN`` and ``X_TEST`` (``.ts``, ``.tsv``, ``.arff``, ``.txt`` or no extension), a PhysioNet
        2012 challenge, WFDB records, or one wide table (``.csv``, ``.data``, ``.arff``, ``.parquet``).
    data_dir : path, optional
        The data folder; default is the environment variable ``KINVIEW_DATA``.
    path : path, optional
        A file, or a folder that holds one data set: ``name`` is then what results call it. Relative to the working
        directory, in a study file to the folder of that file.
    format : str, default "auto"
        Format of the file at ``path``, as for :func:`kinview.datasets.read_path` (``"long"``, ``"wide"``, ...).
    split_seed : int, default 0
        Seed of the split of data without an official one (stratified by label, whole groups on one side). Data with an
        official split keep it.
    test_fraction : float, default 0.3
        Fraction of the samples in the test part of such a split.
    as_classes : bool, default False
        Whether labels that are numbers with fractions (grades in half points, say) are the names of classes; see
        :meth:`Dataset.as_classes`.
    task : {"classification", "regression"}
        What is predicted. ``"regression"``: the labels are numbers, whole ones too; see :meth:`Dataset.as_regression`.
    static_to : mapping, optional
        Where static columns go in an evaluation, ``{"probe": ["age"], "subgroups": ["sex"]}``: appended to what the
        probe sees, to the ``encoder`` of a method that uses further features, to ``subgroups`` of the metrics; those
        that are not named go nowhere.
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
        If the name is a path, is unknown (the message says what is near), or an option does not apply; if a data set of
        your own has the name of a registered one.
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
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "export.csv")
    >>> _ = path.write_text("stay,hour,hr,died\n" + "".join(f"{i},{t},{60 + i + t},{i % 2}\n"
    ...                     for i in range(10) for t in range(3)))
    >>> load("vitals", path=path, format="long", id="stay", time="hour", label="died").describe()
    'vitals: 7 train / 3 test, 1 channel, length 3, 2 classes, 0.0 % missing'
    """
    if not isinstance(name, str):
        raise TypeError(
            f"load takes the name of a data set as text, load('gunpoint'); got {type(name).__name__} {name!r}. "
            f"A file or folder is read by kinview.datasets.load_path"
        )
    data = _loaded(name, data_dir, path, format, split_seed, test_fraction, as_classes, task, options)
    return data if static_to is None else dataclasses.replace(data, static_to=static_to)


def _loaded(
    name: str,
    data_dir: str | os.PathLike[str] | None,
    path: str | os.PathLike[str] | None,
    format: str,
    split_seed: int,
    test_fraction: float,
    as_classes: bool,
    task: Task,
    options: dict[str, Any],
) -> Dataset:
    check_column_names(options)
    check_task(task, as_classes=as_classes)
    cut: dict[str, Any] = {"split_seed": split_seed, "test_fraction": test_fraction}
    if path is not None:
        _check_own_name(name)
        data = load_path(path, format, as_classes=as_classes, **cut, **options)
        return _for_task(dataclasses.replace(data, name=name), task)
    if format != "auto":
        raise ValueError(f"format={format!r} describes a file: give path=, the file that {name!r} is the name of")
    if name not in datasets:
        links = options.get("follow_links", False)
        folder = find_folder(name, data_dir, others=list(datasets), follow_links=links)
        return _for_task(load_folder(folder, as_classes=as_classes, **cut, **options), task)
    known = inspect.signature(datasets[name].target).parameters
    given = {"data_dir": data_dir, **cut}
    context = {key: value for key, value in given.items() if key in known}
    data = datasets.build({name: options}, **context)
    if not isinstance(data, Dataset):
        raise TypeError(
            f"data set {name!r} was built as {type(data).__name__}; a registered data set returns a Dataset"
        )
    return _for_task(data.as_classes() if as_classes else data, task)


def _for_task(data: Dataset, task: Task) -> Dataset:
    return data.as_regression() if task == "regression" else data


def _check_own_name(name: str) -> None:
    """Refuse a name for a file that results could not go by."""
    if name in datasets:
        raise ValueError(f"{name!r} is a data set of kinview; give the file at path= a name of its own")
    if name.strip() != name or not name or any(sign in name for sign in "/\\\0\n"):
        raise ValueError(f"{name!r} cannot be the name of a data set: it is a path, empty, or has blanks around it")


def available(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Registered names, then the folders in the data folder.

    Examples
    --------
    >>> available()[:3]
    ['acsf1', 'arrowhead', 'basic_motions']
    """
    return [*datasets, *folder_names(data_dir)]
