"""The tokenizer in the languages of phones. The three files say the same, line by line."""
