"""Files of other programs, by their extension: refused with how to make one of them that is read."""

from __future__ import annotations

from pathlib import Path

__all__ = ["refuse_foreign"]

_COMPRESSED = {
    ".gz": "gunzip", ".zip": "unzip", ".bz2": "bunzip2", ".xz": "unxz", ".zst": "unzstd", ".7z": "7z x",
    ".rar": "unrar x", ".tar": "tar -xf", ".tgz": "tar -xf",
}  # fmt: skip
_WORKBOOKS = (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers")
_ARRAYS = "load the array that you mean"
_QUERY = "write the result of a query, pandas.read_sql(query, connection).to_parquet({to!r})"
_FOREIGN = {  # what it is, and how it becomes a table that is read
    ".sav": ("an SPSS file", "pandas.read_spss({name!r}).to_parquet({to!r})"),
    ".zsav": ("an SPSS file", "pandas.read_spss({name!r}).to_parquet({to!r})"),
    ".por": ("a portable SPSS file", "save it as CSV in the program that wrote it"),
    ".sas7bdat": ("a SAS file", "pandas.read_sas({name!r}, encoding='latin-1').to_parquet({to!r})"),
    ".xpt": ("a SAS transport file", "pandas.read_sas({name!r}, encoding='latin-1').to_parquet({to!r})"),
    ".dta": ("a Stata file", "pandas.read_stata({name!r}).to_parquet({to!r})"),
    ".rds": ("an R object", "in R: write.csv(readRDS({name!r}), {csv!r}, row.names = FALSE)"),
    ".rdata": ("an R workspace", "in R: load({name!r}), then write.csv(the frame in it, {csv!r}, row.names = FALSE)"),
    ".rda": ("an R workspace", "in R: load({name!r}), then write.csv(the frame in it, {csv!r}, row.names = FALSE)"),
    ".mat": ("a MATLAB file", f"{_ARRAYS} (scipy.io.loadmat({{name!r}})) and give it to fit"),
    ".h5": ("an HDF5 file", f"{_ARRAYS} (h5py.File({{name!r}}), a frame: pandas.read_hdf) and give it to fit"),
    ".hdf5": ("an HDF5 file", f"{_ARRAYS} (h5py.File({{name!r}}), a frame: pandas.read_hdf) and give it to fit"),
    ".hdf": ("an HDF5 file", f"{_ARRAYS} (h5py.File({{name!r}}), a frame: pandas.read_hdf) and give it to fit"),
    ".nc": ("a NetCDF file", f"{_ARRAYS} (xarray.open_dataset({{name!r}})) and give it to fit"),
    ".npy": ("a NumPy array", "numpy.load({name!r}) is an array to give to fit"),
    ".npz": ("a file of NumPy arrays", f"{_ARRAYS} (numpy.load({{name!r}})) and give it to fit"),
    ".pkl": ("a pickle", "it could run code; where it was written, write the frame with .to_parquet({to!r})"),
    ".pickle": ("a pickle", "it could run code; where it was written, write the frame with .to_parquet({to!r})"),
    ".feather": ("a Feather file", "pandas.read_feather({name!r}).to_parquet({to!r})"),
    ".arrow": ("an Arrow file", "pandas.read_feather({name!r}).to_parquet({to!r})"),
    ".orc": ("an ORC file", "pandas.read_orc({name!r}).to_parquet({to!r})"),
    ".json": ("a JSON file", "pandas.read_json({name!r}).to_parquet({to!r})"),
    ".jsonl": ("a file of JSON lines", "pandas.read_json({name!r}, lines=True).to_parquet({to!r})"),
    ".ndjson": ("a file of JSON lines", "pandas.read_json({name!r}, lines=True).to_parquet({to!r})"),
    ".xml": ("an XML file", "pandas.read_xml({name!r}).to_parquet({to!r})"),
    ".edf": ("an EDF recording", "convert it to WFDB (edf2mit), or give its signals to fit as an array"),
    ".bdf": ("a BDF recording", "give its signals to fit as an array (mne, pyedflib)"),
    ".db": ("a database", _QUERY),
    ".sqlite": ("a database", _QUERY),
}  # fmt: skip


def refuse_foreign(source: Path) -> None:
    """Refuse a compressed file, a workbook or a file of another program by what to do with it.

    Raises
    ------
    ValueError
        If the extension is that of one.

    Examples
    --------
    >>> refuse_foreign(Path("labs.csv"))
    >>> refuse_foreign(Path("labs.dta"))
    Traceback (most recent call last):
    ...
    ValueError: labs.dta is a Stata file, which is not read: pandas.read_stata('labs.dta').to_parquet('labs.parquet')
    """
    suffix = source.suffix.lower()
    if suffix in _COMPRESSED:
        raise ValueError(
            f"{source.name} is compressed: unpack it first ({_COMPRESSED[suffix]}), then give {source.stem}"
        )
    if suffix in _WORKBOOKS:
        raise ValueError(
            f"{source.name} is a workbook: save the sheet as CSV (UTF-8) in the program that wrote it, or with "
            f"pandas.read_excel(...).to_csv(...), and give that file"
        )
    if suffix in _FOREIGN:
        what, remedy = _FOREIGN[suffix]
        how = remedy.format(name=source.name, to=f"{source.stem}.parquet", csv=f"{source.stem}.csv")
        raise ValueError(f"{source.name} is {what}, which is not read: {how}")
