"""Plots, intervals and tests that two or more tasks use."""

from seqmodels.evaluation.intervals import wilson_interval

__all__ = ["wilson_interval"]
