"""Scripts that :mod:`seqmodels.export.isolated` runs; none is imported."""
