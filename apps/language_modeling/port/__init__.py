"""Integration files, which ``convert`` writes next to the .tflite files."""
