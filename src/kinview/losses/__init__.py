"""Contrastive objectives: plain functions and thin modules with the formula in the docstring."""

from kinview.registry import Registry

__all__ = ["losses"]

losses = Registry("losses", members=("kinview.losses.info_nce", "kinview.losses.hierarchical"))
