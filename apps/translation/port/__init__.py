"""Integration files: an example program and a README for the use of the TFLite files in an app.

:mod:`apps.translation.phone` copies the files of this package next to the TFLite files.
"""
