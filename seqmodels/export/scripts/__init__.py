"""Scripts that :mod:`seqmodels.export.isolated` runs in separate processes. They are never imported."""
