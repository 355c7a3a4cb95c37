"""Views: what is done to a sample to make its kin."""

from ..registry import Registry  # parent-relative: a second copy imported through the top-level link must fail

__all__ = ["augmentations"]

augmentations = Registry(
    "augmentations", members=("kinview.augmentations.crop", "kinview.augmentations.column_corruption")
)
