"""Contains the tokenizer of the TFLite model as Python, Kotlin and Swift code.

The three files correspond line by line.
"""
