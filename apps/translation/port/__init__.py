"""Integration files, which :mod:`apps.translation.phone` copies next to the TFLite files."""
