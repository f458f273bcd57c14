"""The tokenizer for the TFLite file in Python, Kotlin and Swift. The three files correspond line by line."""
