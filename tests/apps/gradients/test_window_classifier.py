"""The window classifier reads only the tokens in its window."""

import numpy as np
import pytest
import tensorflow as tf

from apps.gradients.window_classifier import WindowClassifier


def logits(model, *rows):
    lengths = np.array([len(row) for row in rows], np.int32)
    tokens = np.zeros((len(rows), max(lengths)), np.int32)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = row
    return model({"tokens": tf.constant(tokens), "lengths": tf.constant(lengths)}).numpy()


@pytest.mark.parametrize(("from_end", "unseen"), [(True, 0), (False, 3)])
def test_only_the_window_matters(from_end, unseen):
    model = WindowClassifier(9, 2, 3, from_end, 4, 5)
    model.build()
    text = [1, 2, 3, 4]
    for place in range(4):
        changed = [*text]
        changed[place] = 8
        one, other = logits(model, text, changed)
        assert np.allclose(one, other) == (place == unseen)


def test_a_short_text_is_padded_at_the_start():
    model = WindowClassifier(9, 2, 3, True, 4, 5)
    model.build()
    short, padded = logits(model, [5, 6], [0, 5, 6])
    np.testing.assert_allclose(short, padded, atol=1e-6)


def test_an_empty_window_raises_value_error():
    with pytest.raises(ValueError, match="window must be at least 1; got 0"):
        WindowClassifier(9, 2, 0)
