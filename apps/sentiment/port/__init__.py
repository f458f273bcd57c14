"""The tokenizer in Python, Kotlin and Swift. The three files correspond line by line."""
