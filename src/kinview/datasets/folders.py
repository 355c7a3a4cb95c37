"""Data on disk: which reader a file needs, and what a folder of an archive holds."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kinview.datasets._links import check_links
from kinview.datasets.archives import read_ts, read_ucr
from kinview.datasets.arff import is_relational, read_arff
from kinview.datasets.class_names import check_written_alike
from kinview.datasets.dataset import Dataset, split
from kinview.datasets.foreign_files import refuse_foreign
from kinview.datasets.frames import PARQUET
from kinview.datasets.long import read_long
from kinview.datasets.physionet2012 import is_physionet2012, read_physionet2012
from kinview.datasets.samples import Samples
from kinview.datasets.tables import read_wide
from kinview.datasets.targets import Task, check_task
from kinview.datasets.wfdb import is_wfdb, read_wfdb
from kinview.registry import suggestion

__all__ = [
    "data_folder",
    "find_folder",
    "folder_names",
    "has_own_parts",
    "is_data_file",
    "load_folder",
    "load_path",
    "read_path",
]

_READERS: dict[str, Callable[..., Samples]] = {
    "ucr": read_ucr,
    "ts": read_ts,
    "arff": read_arff,
    "wide": read_wide,
    "long": read_long,
    "physionet2012": read_physionet2012,
    "wfdb": read_wfdb,
}
_ARCHIVE = {".ts": "ts", ".tsv": "ucr", ".arff": "arff", ".txt": "ucr", "": "ucr"}  # in order of preference
_TABLES = (".csv", ".data", ".arff", *PARQUET)


def read_path(
    path: str | os.PathLike[str], format: str = "auto", *, as_classes: bool = False, **options: Any
) -> Samples:
    r"""Read one file (or a PhysioNet 2012 folder), all of it, without a split.

    Parameters
    ----------
    path : path
        The file.
    format : {"auto", "ucr", "ts", "arff", "wide", "long", "physionet2012", "wfdb"}, default "auto"
        ``"auto"`` goes by the extension: ``.ts`` is ts; ``.tsv``, ``.txt`` and none are ucr; ``.arff`` is time series
        where it has a relational attribute and else a wide table; ``.csv``, ``.data``, ``.parquet`` and ``.pq`` are
        wide; ``.hea`` and ``.dat`` are wfdb. With the option ``id`` a file is long, whatever its extension.
    as_classes : bool, default False
        Whether labels that are numbers with fractions (grades in half points, say) are the names of classes; see
        :meth:`Samples.as_classes`.
    **options : Any
        Parameters of the reader (:func:`read_wide`, :func:`read_long`, ...).

    Raises
    ------
    ValueError
        If the format is unknown or unsupported, or the reader has no such option.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "demo.csv")
    >>> _ = path.write_text("id,t,hr\n1,0,70\n1,5,72\n")
    >>> read_path(path, id="id", time="t").X.shape, read_path(path).X.shape
    ((2, 1), (2, 3))
    """
    source = Path(path)
    if not source.exists():
        raise FileNotFoundError(f"there is no file {source}")
    if format == "auto":
        format = _format_of(source, options)
    if format not in _READERS:
        raise ValueError(f"unknown format {format!r}; known: auto, {', '.join(_READERS)}")
    if source.is_file():
        refuse_foreign(source)
    reader = _READERS[format]
    known = list(inspect.signature(reader).parameters)[1:]
    for name in options:
        if name not in known:
            raise ValueError(
                f"{source.name} is read as {format!r}, which has no option {name!r}{suggestion(name, known)} "
                f"It takes: {', '.join(known) or 'none'} (format= chooses another reader)"
            )
    needed = [
        n for n, p in inspect.signature(reader).parameters.items() if p.kind is p.KEYWORD_ONLY and p.default is p.empty
    ]
    absent = [name for name in needed if name not in options]
    if absent:
        raise ValueError(f"{source.name} is read as {format!r}, which needs: {', '.join(absent)}")
    samples = reader(source, **options)
    return samples.as_classes() if as_classes else samples


def load_path(
    path: str | os.PathLike[str],
    format: str = "auto",
    *,
    split_seed: int = 0,
    test_fraction: float = 0.3,
    as_classes: bool = False,
    task: Task = "classification",
    **options: Any,
) -> Dataset:
    r"""Load a data set from a path: a file (cut into train and test) or a folder (:func:`load_folder`).

    Parameters
    ----------
    path : path
        File or folder.
    format : str, default "auto"
        Of a file, as for :func:`read_path`.
    split_seed, test_fraction : int, float
        Of the stratified split, for data without an official one; see :func:`kinview.datasets.split`.
    as_classes : bool, default False
        As for :func:`read_path`; the split is then stratified by these classes.
    task : {"classification", "regression"}
        As for :func:`kinview.load`.
    **options : Any
        Parameters of the reader.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "demo.csv")
    >>> _ = path.write_text("age,sick\n" + "\n".join(f"{20 + i},{i % 2}" for i in range(10)))
    >>> load_path(path, label="sick").describe()
    'demo: 7 train / 3 test, 1 column, 2 classes, 0.0 % missing'
    """
    check_task(task, as_classes=as_classes)
    source = Path(path)
    cut: dict[str, Any] = {"split_seed": split_seed, "test_fraction": test_fraction}
    if source.is_dir() and format in ("auto", "physionet2012"):
        data = load_folder(source, as_classes=as_classes, **cut, **options)
    else:
        samples = read_path(source, format, as_classes=as_classes, **options)
        data = split(samples, name=source.stem, source=source.name, **cut)
    return data.as_regression() if task == "regression" else data


def load_folder(
    folder: Path,
    *,
    split_seed: int = 0,
    test_fraction: float = 0.3,
    as_classes: bool = False,
    follow_links: bool = False,
    **options: Any,
) -> Dataset:
    """Load what a folder holds: an archive's train and test pair, a PhysioNet 2012 folder, WFDB records, or one table.

    A table is in long format where ``id`` is given, else wide, with the last column as the label unless ``label`` is
    given. Where the folder holds none of these but one
    sub-folder that does (an archive unpacked one folder too deep), that one is loaded under the folder's name.

    Parameters
    ----------
    folder : Path
        The folder.
    split_seed, test_fraction, as_classes : int, float, bool
        As for :func:`load_path`.
    follow_links : bool, default False
        Follow links in the folder that leave it. By default they are refused, so that a folder from elsewhere does not
        read other files of this machine.
    **options : Any
        Parameters of the reader.

    Raises
    ------
    ValueError
        If the folder holds nothing of these, or more than one table, or a link leaves it, or both files of a pair write
        the same label in two ways (``1`` and ``01``).
    """
    name, folder = folder.name, _unwrapped(folder, follow_links=follow_links)
    links: dict[str, Any] = {"follow_links": follow_links}
    pair = _archive_pair(folder)
    if pair is not None:
        train, test, format = pair
        check_links([train, test], folder, **links)
        parts = [read_path(file, format, **options) for file in (train, test)]
        check_written_alike(parts[0].y, parts[1].y, train.name, test.name)
        data = Dataset.of(*parts, name=name, source=f"{folder.name}/{train.name} and {test.name}")
        return data.as_classes() if as_classes else data
    if is_physionet2012(folder):
        samples = read_path(folder, "physionet2012", **links, **options)
        source = f"PhysioNet challenge 2012, {folder.name}"
    elif is_wfdb(folder) or (not _tables(folder) and is_wfdb(folder, below=True, **links)):
        samples, source = read_path(folder, "wfdb", **links, **options), f"WFDB records in {folder.name}"
    else:
        table = _single_table(folder)
        check_links([table], folder, **links)
        options = options if "id" in options else {"label": -1, **options}
        samples = read_path(table, "long" if "id" in options else "wide", **options)
        source = f"{folder.name}/{table.name}"
    samples = samples.as_classes() if as_classes else samples
    return split(samples, name=name, source=source, split_seed=split_seed, test_fraction=test_fraction)


def is_data_file(path: Path) -> bool:
    """Whether a file has the extension of data that :func:`read_path` reads.

    Examples
    --------
    >>> is_data_file(Path("labs.CSV")), is_data_file(Path("model.safetensors")), is_data_file(Path("model"))
    (True, False, False)
    """
    suffix = path.suffix.lower()
    return suffix in (*_TABLES, ".hea", ".dat") or (suffix in _ARCHIVE and suffix != "")


def data_folder(data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Folder of the data sets on disk: the argument, else the environment variable KINVIEW_DATA, else None.

    Raises
    ------
    FileNotFoundError
        If it does not exist.
    """
    given = data_dir if data_dir is not None else os.environ.get("KINVIEW_DATA") or None
    if given is None:
        return None
    folder = Path(given)
    if not folder.is_dir():
        origin = "data_dir" if data_dir is not None else "KINVIEW_DATA"
        raise FileNotFoundError(f"{origin} is {str(folder)!r}, which is not a folder")
    return folder


def folder_names(data_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the folders under the data folder, sorted; empty without one."""
    folder = data_folder(data_dir)
    return [] if folder is None else sorted(entry.name for entry in folder.iterdir() if entry.is_dir())


def find_folder(
    name: str, data_dir: str | os.PathLike[str] | None, others: Sequence[str] = (), *, follow_links: bool = False
) -> Path:
    """Folder of a data set by name, whatever its case; the name is matched against what is there and never joined.

    Where there is none, it is looked for one folder deeper, in an archive that was unpacked into a folder of its own.

    Raises
    ------
    ValueError
        If the name is a path, or unknown, or its folder a link that leaves the data folder (unless ``follow_links``);
        the message lists what is near or there (``others`` included).
    """
    if not name or name in (".", "..") or any(sign in name for sign in ("/", "\\", "\0")):
        raise ValueError(
            f"{name!r} is not the name of a data set but a path; give the name of a folder in the data folder"
        )
    root = data_folder(data_dir)
    folders = folder_names(data_dir)
    if root is not None:
        known = [root / folder for folder in folders]
        same = _named(name, known) or _named(name, [inner for folder in known for inner in _data_folders(folder)])
        if len(same) > 1:
            told = ", ".join(str(folder.relative_to(root)) for folder in same)
            raise ValueError(f"{name!r} could be any of {told}; write it as it is on disk, or give another data folder")
        if same:
            check_links(same, root, follow_links=follow_links)
            return same[0]
    hint = suggestion(name, [*folders, *others], most=3, cutoff=0.5)
    where = (
        "set KINVIEW_DATA or data_dir to load data sets from disk"
        if root is None
        else f"on disk: {', '.join(folders) or 'none'}"
    )
    raise ValueError(f"unknown data set {name!r}{hint} Bundled: {', '.join(sorted(others)) or 'none'}; {where}")


def _format_of(source: Path, options: dict[str, Any]) -> str:
    suffix = source.suffix.lower()
    if source.is_dir():
        if is_physionet2012(source):
            return "physionet2012"
        raise ValueError(f"{source} is a folder; give a file, or a folder of a data set to load_path")
    if suffix == ".arff":
        return "arff" if is_relational(source) else "wide"
    if "id" in options:
        return "long"
    if suffix in _TABLES:
        return "wide"
    if suffix == ".hea" or (suffix == ".dat" and source.with_suffix(".hea").exists()):
        return "wfdb"
    if suffix == ".dat":
        raise ValueError(
            f"{source.name} has no WFDB header ({source.stem}.hea) beside it; if it is a text file, give its format "
            f"(format='wide', --format wide)"
        )
    if suffix in _ARCHIVE:
        return _ARCHIVE[suffix]
    refuse_foreign(source)
    raise ValueError(f"cannot tell the format of {source.name}; give format= one of {', '.join(_READERS)}")


def _named(name: str, folders: list[Path]) -> list[Path]:
    """Folders of this name, or else of this name in whatever case."""
    return [f for f in folders if f.name == name] or [f for f in folders if f.name.lower() == name.lower()]


def _data_folders(folder: Path) -> list[Path]:
    """Sub-folders that hold data, of a folder that holds none itself; links are not looked into."""
    found: list[Path] = []
    if not folder.is_symlink():
        with contextlib.suppress(PermissionError):  # of other people, such as lost+found
            if not _holds_data(folder):
                found += [entry for entry in _sub_folders(folder) if not entry.is_symlink() and _holds_data(entry)]
    return found


def _sub_folders(folder: Path) -> list[Path]:
    hidden = (".", "__MACOSX")
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(hidden))


def _holds_data(folder: Path) -> bool:
    """Whether a folder itself holds data of a known layout, complete or not."""
    names = [file.name.lower() for file in folder.iterdir() if file.is_file()]
    pair = any(name.endswith(f"_{part}{suffix}") for name in names for part in ("train", "test") for suffix in _ARCHIVE)
    return pair or bool(_tables(folder)) or is_physionet2012(folder) or is_wfdb(folder)


def _unwrapped(folder: Path, *, follow_links: bool) -> Path:
    """The folder, or where it holds no data itself its only sub-folder that does."""
    if _holds_data(folder):
        return folder
    inner = _sub_folders(folder)
    check_links(inner, folder, follow_links=follow_links)
    holding = [entry for entry in inner if _holds_data(entry)]
    return holding[0] if len(holding) == 1 else folder


def has_own_parts(folder: Path, *, follow_links: bool = False) -> bool:
    """Whether a folder holds a training and a test file, as those of archives do."""
    return _archive_pair(_unwrapped(folder, follow_links=follow_links)) is not None


def _archive_pair(folder: Path) -> tuple[Path, Path, str] | None:
    """The training and test file of a folder in an archive's layout, and their format."""
    files = {file.name.lower(): file for file in folder.iterdir() if file.is_file()}
    found = [
        (name.removesuffix(f"_train{suffix}"), suffix)
        for suffix in _ARCHIVE
        for name in files
        if name.endswith(f"_train{suffix}")
    ]
    # The UEA archive also holds one file a dimension; the one named like the folder has all of them.
    found = [(stem, suffix) for stem, suffix in found if stem == folder.name.lower()] or found
    if len({stem for stem, _ in found}) != 1:
        return None
    for stem, suffix in found:
        if f"{stem}_test{suffix}" in files:
            return files[f"{stem}_train{suffix}"], files[f"{stem}_test{suffix}"], _ARCHIVE[suffix]
    alone = files["{}_train{}".format(*found[0])].name
    raise ValueError(f"{folder.name} has {alone} but no test file beside it; load that file with load_path")


def _tables(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in _TABLES)


def _single_table(folder: Path) -> Path:
    tables = _tables(folder)
    if len(tables) == 1:
        return tables[0]
    if tables:
        raise ValueError(
            f"{folder.name} holds {len(tables)} tables ({', '.join(file.name for file in tables[:5])}, ...); "
            f"relational data are not joined: make one table of them, or load one file with load_path"
        )
    inside = sorted(folder.iterdir())
    for file in filter(Path.is_file, inside):
        refuse_foreign(file)
    found = ", ".join(entry.name for entry in inside[:5]) or "nothing"
    raise ValueError(
        f"{folder.name} has no known layout: expected {folder.name}_TRAIN and _TEST (.ts, .tsv, .arff, .txt or no "
        f"extension), set-a with Outcomes-a.txt, WFDB records (.hea, .dat), or one table (.csv, .data, .arff, "
        f".parquet); found {found}"
    )
