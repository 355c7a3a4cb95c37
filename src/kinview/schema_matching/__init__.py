"""Columns of two tables with different names: which column of one is which of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.schema_matching.base import Matcher as Matcher
    from kinview.schema_matching.contrastive import ContrastiveMatcher as ContrastiveMatcher
    from kinview.schema_matching.correlation import CorrelationMatcher as CorrelationMatcher
    from kinview.schema_matching.distribution import DistributionMatcher as DistributionMatcher
    from kinview.schema_matching.kang_naughton import KangNaughtonMatcher as KangNaughtonMatcher
    from kinview.schema_matching.match import match_columns as match_columns
    from kinview.schema_matching.matches import ColumnMatches as ColumnMatches, MatchScore as MatchScore

lazy_exports(__name__)
matchers = Registry(
    "matchers",
    members=(
        "kinview.schema_matching.contrastive",
        "kinview.schema_matching.correlation",
        "kinview.schema_matching.distribution",
        "kinview.schema_matching.kang_naughton",
    ),
)
