"""Scripts that :mod:`seqmodels.export.isolated` runs; they are never imported."""
