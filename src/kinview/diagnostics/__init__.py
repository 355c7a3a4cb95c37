"""What a person looks at before trusting a training: pictures of views, and how many dimensions are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports

if TYPE_CHECKING:
    from kinview.diagnostics.effective_rank import effective_rank as effective_rank
    from kinview.diagnostics.view_sheet import view_sheet as view_sheet

lazy_exports(__name__)
