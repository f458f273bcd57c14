"""What an integrator copies; :mod:`apps.translation.phone` puts it beside the files."""
