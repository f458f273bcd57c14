"""What goes beside the .tflite files, for those who build them into an app."""
