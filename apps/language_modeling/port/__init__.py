"""Integration files that ``convert`` writes next to the TFLite files."""
