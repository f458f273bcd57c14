"""Scripts that :mod:`seqmodels.export.isolated` runs in separate processes. No module imports them."""
