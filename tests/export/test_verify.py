"""Comparison of an exported file's outputs with the model's outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqmodels.errors import UserError
from seqmodels.export.verify import largest_difference, load_arrays, save_arrays

EXPECTED = {"label": np.array([b"good", b""], object), "p": np.array([[0.25, 0.75]], np.float32)}


def test_strings_and_numbers_survive_the_file(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", {**EXPECTED, "none": np.array([], "S")})
    loaded = load_arrays(tmp_path / "a.npz")
    assert loaded["label"].tolist() == [b"good", b""]
    assert loaded["none"].shape == (0,)
    assert largest_difference("file", loaded, EXPECTED, 0.0) == 0.0


@pytest.mark.parametrize(
    ("actual", "message"),
    [
        ({}, "file must have the output p; found label"),
        ({"p": np.zeros((2, 2))}, r"file: the output p must have the shape \(1, 2\); got \(2, 2\)"),
        (
            {"p": np.array([[0.25, 0.9]])},
            "file: the output p differs from the model's output by 0.15; expected at most 0.1;",
        ),
        ({"p": np.array([[np.nan, 0.75]])}, "file: the output p differs from the model's output by nan"),
        (
            {"label": np.array([b"bad", b""]), "p": EXPECTED["p"]},
            "file: the output label differs from the model's output;",
        ),
    ],
)
def test_differences(actual: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(UserError, match=message):
        largest_difference("file", {"label": EXPECTED["label"].astype("S"), **actual}, EXPECTED, 0.1)


def test_the_largest_difference_is_returned() -> None:
    close = {"label": EXPECTED["label"].astype("S"), "p": np.array([[0.3, 0.76]])}
    assert largest_difference("file", close, EXPECTED, 0.1) == pytest.approx(0.05)
