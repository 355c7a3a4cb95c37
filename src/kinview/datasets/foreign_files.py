"""Files of other programs, by their extension or first bytes: refused with how to make one of them that is read."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

__all__ = ["refuse_drawn", "refuse_foreign", "refuse_foreign_content"]

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
    ".safetensors": ("a model or a checkpoint", "give data here, and the model as what reads them; kinview inspect "
                     "{name} says what is inside"),
    ".db": ("a database", _QUERY),
    ".sqlite": ("a database", _QUERY),
}  # fmt: skip
_START = 4096  # bytes that tell what a file is
_MAGIC = (  # the first bytes of a file, and the extension that it should have
    (b"\x1f\x8b", ".gz"), (b"BZh", ".bz2"), (b"\xfd7zXZ\x00", ".xz"), (b"\x28\xb5\x2f\xfd", ".zst"),
    (b"7z\xbc\xaf\x27\x1c", ".7z"), (b"Rar!\x1a", ".rar"), (b"PK\x03\x04", ".zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"), (b"$FL2", ".sav"), (b"$FL3", ".zsav"), (b"<stata_dta>", ".dta"),
    (b"HEADER RECORD*******", ".xpt"), (b"\x89HDF\r\n", ".h5"), (b"CDF\x01", ".nc"), (b"CDF\x02", ".nc"),
    (b"\x93NUMPY", ".npy"), (b"ARROW1", ".arrow"), (b"FEA1", ".feather"), (b"ORC", ".orc"), (b"MATLAB 5.0", ".mat"),
    (b"SQLite format 3\x00", ".sqlite"),
)  # fmt: skip
_MARKUP = (  # how the text of what is no table begins, what it is, and what to do
    (r"version https://git-lfs\.github\.com/spec/", "the pointer of Git LFS to a file, not the file",
     "fetch it in its repository (git lfs pull)"),
    (r"\s*<(?:!doctype\s+html|(?:html|head|body|table|meta|script)\b)", "a page of HTML",
     "a download may have ended at a page of log-in or error; a table in it is read by "
     "pandas.read_html({name!r})[0].to_parquet({to!r})"),
    (r"\s*<(?:\?xml\b|[A-Za-z][\w:.-]*(?:\s[^<>]*)?>\s*<)", "XML", "pandas.read_xml({name!r}).to_parquet({to!r})"),
    (r"\s*(?:\{\s*[\"}]|\[\s*(?:\{|\[\s*[\d\"\-]))", "JSON",
     "pandas.read_json({name!r}).to_parquet({to!r}), with lines=True where each line is an object"),
    (r"%PDF-", "a PDF", "ask for the table that it shows, or copy it into a sheet and save that as CSV"),
    (r"\{\\rtf", "a text of a word processor (RTF)", "save it as plain text"),
)  # fmt: skip
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_RULE = re.compile(  # a line drawn of signs
    r"\s*(?:\+(?:[-=]+\+)+|\|(?:\s*:?-+:?\s*[|+])+|:?-{3,}:?(?:\s*[|+]\s*:?-{3,}:?)+)\s*"
)


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


def refuse_foreign_content(source: Path) -> None:
    """Refuse by its first bytes what is of another program, or no table, under the name of a text file.

    Raises
    ------
    ValueError
        If it is compressed, a workbook, of another program, HTML, XML, JSON, a PDF, or the pointer of Git LFS to a
        file; the message says what to do.
    """
    with source.open("rb") as file:
        start = file.read(_START)
    if _BINARY.search(start):
        _refuse_binary(source, start)
    text = start.decode("utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", errors="replace")
    for pattern, what, remedy in _MARKUP:
        if re.match(pattern, text, re.IGNORECASE):
            how = remedy.format(name=source.name, to=f"{source.stem}.parquet")
            raise ValueError(f"{source.name} is {what}, which is no table of text: {how}")


def _refuse_binary(source: Path, start: bytes) -> None:
    """Refuse a file that begins as those of another program do."""
    if start.startswith(b"PAR1") and source.suffix.lower() not in (".parquet", ".pq"):
        raise ValueError(
            f"{source.name} is a Parquet file by its first bytes, though not by its name: give it the extension "
            f".parquet ({source.stem}.parquet)"
        )
    found = next((extension for magic, extension in _MAGIC if start.startswith(magic)), None)
    if start[8:10] == b'{"' and struct.unpack("<Q", start[:8])[0] < 1 << 32:  # the length of the header, and the header
        found = ".safetensors"
    if found is None:
        return
    if found == ".zip" and re.search(rb"\[Content_Types\]\.xml|xl/|mimetypeapplication/vnd\.oasis", start):
        found = ".ods" if b"vnd.oasis" in start else ".xlsx"
    named = source.with_name(f"{source.name if found in _COMPRESSED else source.stem}{found}")
    try:
        refuse_foreign(named)
    except ValueError as error:
        raise ValueError(
            f"{source.name} is a file of another kind by its first bytes: rename it to {named.name}. {error}"
        ) from None


def refuse_drawn(texts: Sequence[str], source: Path) -> None:
    """Refuse a table drawn with signs, as MySQL, psql and Markdown draw it, by its first lines.

    Raises
    ------
    ValueError
        That says how such a table becomes one that is read.

    Examples
    --------
    >>> refuse_drawn(["| a | b |", "|---|---|", "| 1 | 2 |"], Path("x.csv"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: x.csv is a table drawn with signs ('|---|---|'): write it as text with one sign between the cells ...
    """
    for text in texts[:2]:
        if _RULE.fullmatch(text):
            raise ValueError(
                f"{source.name} is a table drawn with signs ({text.strip()[:40]!r}): write it as text with one sign "
                f"between the cells where it comes from (mysql --batch, psql --csv), or remove the drawn lines and the "
                f"signs at the ends of the others"
            )
