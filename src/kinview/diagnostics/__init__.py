"""What a person looks at before trusting a training: pictures of views, ranks, and measurements while it trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.diagnostics.effective_rank import effective_rank as effective_rank, rank_me as rank_me
    from kinview.diagnostics.information import information as information
    from kinview.diagnostics.lidar import lidar as lidar
    from kinview.diagnostics.modality_gap import (
        ModalityGap as ModalityGap,
        modality_gap as modality_gap,
        shifted as shifted,
    )
    from kinview.diagnostics.nearest import nearest as nearest, nearest_sheet as nearest_sheet
    from kinview.diagnostics.online import (
        Measurement as Measurement,
        OnlinePositivePairs as OnlinePositivePairs,
        OnlineProbe as OnlineProbe,
        OnlineRank as OnlineRank,
    )
    from kinview.diagnostics.positive_rank import PositiveRank as PositiveRank, positive_rank as positive_rank
    from kinview.diagnostics.retrieval import hits as hits, retrieval as retrieval
    from kinview.diagnostics.shift_by_subgroup import shift_by_subgroup as shift_by_subgroup
    from kinview.diagnostics.view_sheet import view_sheet as view_sheet

lazy_exports(__name__)
