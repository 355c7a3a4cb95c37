"""Containers in, batches out; scaling, schemas and splits that are learned on training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.data.batch import Batch as Batch
    from kinview.data.completion import Completion as Completion
    from kinview.data.gaps import (
        bridge as bridge,
        complete as complete,
        none_ends_early as none_ends_early,
        observed_bounds as observed_bounds,
        observed_mean as observed_mean,
        observed_peak as observed_peak,
        observed_std as observed_std,
        valid_lengths as valid_lengths,
    )
    from kinview.data.nested import to_nested as to_nested
    from kinview.data.paired import PairedData as PairedData
    from kinview.data.panel import ChannelMismatch as ChannelMismatch, Panel as Panel, read_panel as read_panel
    from kinview.data.row_groups import row_groups as row_groups
    from kinview.data.scaling import Scaler as Scaler, fit_scaler as fit_scaler
    from kinview.data.sources.arrays import (
        DatasetSource as DatasetSource,
        NpySource as NpySource,
        ZarrSource as ZarrSource,
    )
    from kinview.data.sources.base import Source as Source
    from kinview.data.sources.parquet import (
        LongParquetSource as LongParquetSource,
        WideParquetSource as WideParquetSource,
    )
    from kinview.data.spectrum import inverse_spectrum as inverse_spectrum, spectrum as spectrum
    from kinview.data.splits import holdout as holdout, label_subset as label_subset
    from kinview.data.table import Column as Column, TableSchema as TableSchema

lazy_exports(__name__)
