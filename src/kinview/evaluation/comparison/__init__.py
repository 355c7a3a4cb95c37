"""Tests between methods: ranks over data sets, pairs of methods, folds of one data set, sizes of effects.

Public names come through :mod:`kinview.evaluation`.
"""
