"""Recordings in PhysioNet's WFDB format: a text header and samples of 12 or 16 bits."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinview.datasets._links import check_links, files_below
from kinview.datasets._padding import check_padding
from kinview.datasets._wfdb_header import INVALID, Header, Signal, read_header
from kinview.datasets.samples import Samples
from kinview.parameters import check_positive

__all__ = ["is_wfdb", "read_wfdb"]


def read_wfdb(
    path: str | os.PathLike[str],
    *,
    seconds: float | None = 10.0,
    signals: Sequence[str | int] | None = None,
    follow_links: bool = False,
) -> Samples:
    r"""Read a WFDB record, or all records of a folder, cut into windows.

    Parameters
    ----------
    path : path
        A ``.hea`` file, its ``.dat`` file, or a folder of records of one sampling rate. Where the folder itself holds
        no record, those of its sub-folders are read; records in sub-folders beside others are left out with a warning.
    seconds : float or None, default 10.0
        Length of a window in seconds; windows do not overlap, and what is left at the end of a record is left out.
        None: each record is one series, shorter ones padded with NaN at the end.
    signals : sequence of str or of int, optional
        What to read, in this order: names of signals (leads), as the headers have them, or positions from 0, which
        take what stands there whatever its name. Records that lack one of them are left out with a warning. None: all
        signals, in their order in the header; the records of a folder must then have the same names in the same order.
    follow_links : bool, default False
        Follow links that leave the folder, as for :func:`kinview.datasets.load_path`.

    Returns
    -------
    Samples
        X ``(n, signals, steps)`` in physical units (mV for an ECG), NaN where the recording marks a sample as unknown;
        no labels. X is an array and carries no names: its channels are ``signals``, or those of the header, in order.
        groups hold the record's name, of a record in a sub-folder with the path to it (``p001/s0010``). A record is not
        a patient: public sets hold several records of one patient, which a split by record may part; where it matters,
        give groups of your own.

    Warns
    -----
    UserWarning
        If records are left out because they lack one of ``signals``, or lie in sub-folders beside records.

    Raises
    ------
    ValueError
        For a header that does not hold together, another storage format than 212 and 16, a damaged or shortened file
        (by length and checksum; a header without a number of samples takes all that the files hold, and its checksums
        say nothing), links that leave the folder, records of other sampling rates or signals, ``signals`` that no
        record has, or a window longer than every record.

    References
    ----------
    .. [1] Moody et al., WFDB applications guide: header(5) and signal(5), PhysioNet.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.hea").write_text("a 1 2 4\na.dat 16 100/mV 16 0 0 60 0 II\n")
    >>> _ = (folder / "a.dat").write_bytes(np.array([0, 10, 20, 30], dtype="<i2").tobytes())
    >>> read_wfdb(folder, seconds=1.0).X.tolist()
    [[[0.0, 0.1]], [[0.2, 0.3]]]
    >>> read_wfdb(folder, seconds=1.0, signals=["II"]).X.shape
    (2, 1, 2)
    """
    if seconds is not None:
        check_positive(seconds, "seconds")
    source = Path(path)
    folder, files = _headers_of(source, follow_links)
    headers = [read_header(file) for file in files]
    try:
        chosen = _same_signals(headers) if signals is None else _chosen_signals(headers, signals)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    first = chosen[0][0]
    for header, _ in chosen:
        if header.rate != first.rate:
            raise ValueError(
                f"{source}: record {header.record} is sampled at {header.rate:g} Hz, {first.record} at {first.rate:g} "
                "Hz: load them one by one"
            )
    for header, places in chosen:
        stored = [header.path.parent / header.signals[place].file for place in places]
        check_links(stored, folder, follow_links=follow_links)
    records = [_read_signals(header, places) for header, places in chosen]
    names = [(header.path.parent.relative_to(folder) / header.record).as_posix() for header, _ in chosen]
    longest = max(record.shape[1] for record in records)
    if seconds is None:
        check_padding([record.shape[1] for record in records], len(records[0]), source)
        X = np.full((len(records), records[0].shape[0], longest), np.nan)
        for row, record in zip(X, records, strict=True):
            row[:, : record.shape[1]] = record
        return Samples(X, groups=np.array(names))
    steps = round(seconds * first.rate) if seconds * first.rate <= longest else longest + 1
    if steps < 1:
        raise ValueError(f"{source}: seconds={seconds!r} is less than one step at {first.rate:g} Hz")
    windows = [_windows(record, steps) for record in records]
    if not sum(map(len, windows)):
        raise ValueError(
            f"{source}: seconds={seconds:g} is longer than every record ({longest / first.rate:g} s at most); give "
            "less, or seconds=None"
        )
    groups = np.repeat(names, [len(window) for window in windows])
    return Samples(np.concatenate(windows), groups=groups)


def _same_signals(headers: Sequence[Header]) -> list[tuple[Header, list[int]]]:
    """All signals of every record; records that have others, or another order, are not mixed."""
    if len({header.names for header in headers}) > 1:
        held: dict[tuple[str, ...], list[str]] = {}
        for header in headers:
            held.setdefault(header.names, []).append(header.record)
        who = "; ".join(f"{', '.join(map(_called, names))} in {_listed(records)}" for names, records in held.items())
        fewest = min(len(header.signals) for header in headers)
        names, number = _most_common(headers)
        ways = [f"signals={[*range(fewest)]} to read by place, whatever the names"]
        if names:
            rest = ", the others are left out" if number < len(headers) else ""
            ways.insert(0, f"signals={names} to read by name ({number} of {len(headers)} records have it{rest})")
        raise ValueError(
            f"the records have different signals: {who}. Say which to read: {', or '.join(ways)}; on the command line "
            f"--reader_options.signals '[{', '.join(names) or '0'}]'"
        )
    return [(header, [*range(len(header.signals))]) for header in headers]


def _most_common(headers: Sequence[Header]) -> tuple[list[str], int]:
    """The name that most records have, with all other names that these records share, and the number of records."""
    held = [{name for name in header.names if name and header.names.count(name) == 1} for header in headers]
    counts = Counter(name for names in held for name in names)
    order = list(dict.fromkeys(name for header in headers for name in header.names if counts[name]))
    if not order:
        return [], 0
    widest = max(order, key=counts.__getitem__)
    shared = set.intersection(*(names for names in held if widest in names))
    return [name for name in order if name in shared], counts[widest]


def _chosen_signals(headers: Sequence[Header], signals: Sequence[str | int]) -> list[tuple[Header, list[int]]]:
    """The places of the signals asked for, in the records that have all of them."""
    wanted = _checked(signals)
    chosen: list[tuple[Header, list[int]]] = []
    absent = []
    for header in headers:
        there: list[str | int] = [*header.names] if isinstance(wanted[0], str) else [*range(len(header.signals))]
        for name in wanted:
            if there.count(name) > 1:
                raise ValueError(f"record {header.record} has {there.count(name)} signals {name}: give positions")
        if all(name in there for name in wanted):
            chosen.append((header, [there.index(name) for name in wanted]))
        else:
            absent.append(header.record)
    if not chosen:
        known = "; ".join(dict.fromkeys(", ".join(map(_called, header.names)) for header in headers))
        raise ValueError(f"no record has all of signals={wanted}; the records have: {known}")
    if absent:
        warnings.warn(
            f"{len(absent)} of {len(headers)} records lack one of signals={wanted} and are left out: {_listed(absent)}",
            UserWarning,
            stacklevel=3,
        )
    return chosen


def _checked(signals: Sequence[str | int]) -> list[str | int]:
    wanted = [*signals] if isinstance(signals, Sequence | np.ndarray) and not isinstance(signals, str) else []
    names = all(isinstance(name, str) for name in wanted)
    places = all(isinstance(place, Integral) and not isinstance(place, bool) and place >= 0 for place in wanted)
    if not wanted or not (names or places) or len(set(wanted)) < len(wanted):
        raise ValueError(
            "signals must be a list of names, signals=['MLII'], or of positions from 0, signals=[0, 1], each once; got "
            f"{signals!r}"
        )
    return [str(name) if names else int(name) for name in wanted]


def _called(name: str) -> str:
    return name or "(no name)"


def _listed(records: Sequence[str]) -> str:
    more = f" and {len(records) - 5} more" if len(records) > 6 else ""
    return ", ".join(records[: 5 if more else 6]) + more


def is_wfdb(folder: Path, *, below: bool = False, follow_links: bool = False) -> bool:
    """Whether a folder, or with ``below`` one of its sub-folders, holds WFDB records."""
    if below:
        return all(files_below(folder, suffix, follow_links=follow_links) for suffix in (".hea", ".dat"))
    return any(folder.glob("*.hea")) and any(folder.glob("*.dat"))


def _headers_of(source: Path, follow_links: bool) -> tuple[Path, list[Path]]:
    """The folder to which links are held, and the headers to read."""
    if not source.is_dir():
        return source.parent, [source.with_suffix(".hea")]
    files = files_below(source, ".hea", follow_links=follow_links)
    if not files:
        raise ValueError(f"{source} holds no WFDB header (.hea), nor do its sub-folders")
    own = [file for file in files if file.parent == source]
    if own and len(own) < len(files):
        folders = sorted({file.relative_to(source).parts[0] for file in files if file.parent != source})
        warnings.warn(
            f"{len(files) - len(own)} record(s) in sub-folders of {source} are left out, since it holds records "
            f"itself: {_listed(folders)}. Give a sub-folder to read those",
            UserWarning,
            stacklevel=3,
        )
    return source, own or files


def _windows(record: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    number = record.shape[1] // steps
    return record[:, : number * steps].reshape(len(record), number, steps).swapaxes(0, 1)


def _read_signals(header: Header, places: Sequence[int]) -> NDArray[np.float64]:
    """Physical values (places, steps); of the files that hold them every signal is checked."""
    found: dict[int, NDArray[np.float64]] = {}
    for file in dict.fromkeys(header.signals[place].file for place in places):
        stored = [place for place, signal in enumerate(header.signals) if signal.file == file]
        samples = _frames(header, file, stored)
        for place, values in zip(stored, samples, strict=True):
            signal = header.signals[place]
            if header.steps is not None:  # else the checksum says nothing, as the format has it
                _check_sum(values, signal, header)
            if place in places:
                known = values != INVALID[signal.format]
                found[place] = np.where(known, (values - float(signal.baseline)) / signal.gain, np.nan)
    lengths = {header.signals[place].file: len(found[place]) for place in places}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{number:,} in {file}" for file, number in lengths.items())
        raise ValueError(f"{header.path} has no number of samples, and its files hold different ones: {told}")
    return np.stack([found[place] for place in places])


def _frames(header: Header, file: str, stored: Sequence[int]) -> NDArray[np.int64]:
    """Samples (signals, steps) of a file, as many as the header says, or as there are."""
    path = header.path.parent / file
    formats = {header.signals[place].format for place in stored}
    if len(formats) != 1:
        raise ValueError(f"{header.path}: the signals of {file} must have one format")
    if not path.is_file():
        raise FileNotFoundError(f"record {header.record} lacks its file {file} beside {header.path}")
    format, size = formats.pop(), path.stat().st_size
    steps = _steps_held(path, format, size, len(stored)) if header.steps is None else header.steps
    number = steps * len(stored)
    needed = 2 * number if format == "16" else 3 * (number // 2) + 2 * (number % 2)
    if size < needed:
        raise ValueError(f"{path} is too short: {size} bytes for {number} samples in format {format}")
    return _samples(path, format, number, needed).reshape(steps, len(stored)).T


def _steps_held(path: Path, format: str, size: int, signals: int) -> int:
    """Steps that a file of this size holds."""
    held, rest = divmod(size, 2) if format == "16" else (size // 3 * 2 + (size % 3 == 2), int(size % 3 == 1))
    steps, over = divmod(held, signals)
    padded = format == "212" and size % 3 == 0  # an odd number of samples may be followed by one to fill three bytes
    if steps == 0 or rest or over > padded:
        raise ValueError(
            f"{path} has {size} bytes, which are no whole number of steps of {signals} signal(s) in format {format}: "
            "it is cut off"
        )
    return steps


def _samples(path: Path, format: str, number: int, needed: int) -> NDArray[np.int64]:
    with path.open("rb") as file:
        raw = np.frombuffer(file.read(needed), dtype=np.uint8)
    if len(raw) < needed:
        raise ValueError(f"{path} is too short: {len(raw)} bytes for {number} samples in format {format}")
    if format == "16":
        return raw.view("<i2").astype(np.int64)
    raw = np.concatenate([raw, np.zeros(-needed % 3, dtype=np.uint8)]).reshape(-1, 3).astype(np.int64)
    pairs = np.stack([raw[:, 0] | (raw[:, 1] & 0x0F) << 8, raw[:, 2] | (raw[:, 1] & 0xF0) << 4], axis=1)
    pairs[pairs >= 2048] -= 4096  # two's complement of 12 bits
    return pairs.reshape(-1)[:number]


def _check_sum(values: NDArray[np.int64], signal: Signal, header: Header) -> None:
    if signal.checksum is not None and (int(values.sum()) - signal.checksum) % 2**16:
        name = f" ({signal.name})" if signal.name else ""
        path = header.path.parent / signal.file
        raise ValueError(f"{path}{name} is damaged: the checksum in {header.path.name} is another")
