"""Tests of the linear part of a classifier: the solver, the folds, and the out-of-fold outputs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression, Ridge

from apps.sentiment.families import Independent, Multinomial, Normal
from apps.sentiment.generalized_linear import Design, fit
from apps.sentiment.linear import Linear, OutOfFold, fit_linear, folds_of
from seqmodels.data import TokenSequences
from seqmodels.data.token_rules import SPECIAL_TOKENS

WORDS = 36


def design(texts: int = 120, rows: int = 30, parts: int = 12) -> Design:
    random = np.random.default_rng(3)
    return Design(
        csr_matrix(random.random((texts, rows)) * (random.random((texts, rows)) < 0.2)),
        random.uniform(0.5, 2, rows),
        csr_matrix(random.random((rows, parts)) * (random.random((rows, parts)) < 0.3)),
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_the_solver_agrees_with_scikit_learn(classes: int) -> None:
    features = design()
    codes = np.random.default_rng(4).integers(0, classes, 120)
    importance = np.random.default_rng(5).uniform(0.5, 2, 120)
    weights = fit(features, codes, Multinomial(classes), 0.5, importance)
    whole = hstack([features.rows.multiply(features.scale), features.rows @ features.parts]).tocsr()
    expected = LogisticRegression(C=0.5, tol=1e-8, max_iter=5000).fit(whole, codes, importance)
    np.testing.assert_allclose(weights[:-1].T, expected.coef_, atol=2e-3)
    by_table = features.rows @ features.table(weights[:-1])
    np.testing.assert_allclose(by_table, whole @ weights[:-1], atol=1e-9)


def test_the_solver_fits_one_model_per_label_and_ridge_regression() -> None:
    features, random = design(), np.random.default_rng(4)
    whole = hstack([features.rows.multiply(features.scale), features.rows @ features.parts]).tocsr()
    targets = random.integers(0, 2, (120, 3))
    weights = fit(features, targets, Independent(3), 0.5)
    for column in range(3):
        expected = LogisticRegression(C=0.5, tol=1e-8, max_iter=5000).fit(whole, targets[:, column])
        np.testing.assert_allclose(weights[:-1, column], expected.coef_[0], atol=1e-2)
    numbers = random.normal(size=(120, 1))
    weights = fit(features, numbers, Normal(), 0.5)
    ridge = Ridge(alpha=2.0).fit(whole, numbers[:, 0])
    np.testing.assert_allclose(weights[:-1, 0], ridge.coef_, atol=1e-2)
    np.testing.assert_allclose(weights[-1, 0], ridge.intercept_, atol=1e-2)


@pytest.mark.parametrize("family", [Multinomial(2), Multinomial(3), Independent(3), Normal()])
def test_slopes_are_the_derivatives_of_the_losses(family) -> None:
    random = np.random.default_rng(6)
    outputs = random.normal(size=(5, family.columns))
    targets = {
        Multinomial: random.integers(0, getattr(family, "classes", 2), 5),
        Independent: random.integers(0, 2, (5, 3)),
        Normal: random.normal(size=(5, 1)),
    }[type(family)]
    slopes, step = family.slopes(outputs, targets), 1e-6
    for column in range(family.columns):
        shift = np.zeros(family.columns)
        shift[column] = step
        change = family.losses(outputs + shift, targets) - family.losses(outputs - shift, targets)
        np.testing.assert_allclose(slopes[:, column], change / (2 * step), atol=1e-6)


def texts_and_labels(count: int = 60) -> tuple[TokenSequences, list[str], np.ndarray]:
    random = np.random.default_rng(0)
    ids = TokenSequences.from_lengths(
        random.integers(len(SPECIAL_TOKENS), WORDS, 10 * count), np.full(count, 10)
    )
    return ids, [f"text {row}" for row in range(count)], random.integers(0, 2, count).astype(np.int32)


def fitted(
    ids: TokenSequences, texts: list[str], labels: np.ndarray, classes: int = 2
) -> tuple[Linear, OutOfFold]:
    vocabulary = [*SPECIAL_TOKENS, *(f"w{index}" for index in range(len(SPECIAL_TOKENS), WORDS))]
    return fit_linear(ids, texts, labels, labels.tolist(), Multinomial(classes), vocabulary, order=2)


def test_outputs_of_a_training_text_are_out_of_fold() -> None:
    """A changed label changes the output for its text, but not the out-of-fold values of this text."""
    ids, texts, labels = texts_and_labels()
    changed = labels.copy()
    (one,) = np.flatnonzero(labels == 0)[:1]
    changed[one] = 1
    same_folds = folds_of(texts, np.zeros(len(texts), int))  # folds that do not depend on the labels
    fold = np.flatnonzero(same_folds == same_folds[one])
    assert one in fold
    model, others = fitted(ids, texts, labels)
    assert others.evidence is not None
    assert model.scale * others.evidence.std() == pytest.approx(1, rel=1e-5)
    in_sample = model.outputs(ids)[:, 0] * np.where(labels == 1, 1, -1)
    out_of_fold = others.outputs[:, 0] * np.where(labels == 1, 1, -1)
    # The labels are random. In the sample, they are overfitted; out of fold, they cannot be.
    assert np.mean(in_sample > 0) > 0.9
    assert np.mean(out_of_fold > 0) < 0.75


@pytest.mark.parametrize("key", ["label", "length", "name"])
def test_folds_do_not_depend_on_the_order_of_the_texts(key: str) -> None:
    random = np.random.default_rng(1)
    texts = [f"{'long ' * int(random.integers(1, 9))}{index}" for index in range(90)] + ["twice", "twice"]
    labels = np.append(random.integers(0, 4, 90), [2, 2])
    order = np.argsort({"label": labels, "length": np.char.str_len(texts), "name": np.array(texts)}[key])
    folds = folds_of(texts, labels)
    np.testing.assert_array_equal(folds_of([texts[row] for row in order], labels[order]), folds[order])
    assert folds[-1] == folds[-2]
    counts = np.array([np.bincount(folds[labels == label], minlength=5) for label in range(4)])
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 2


def test_sorted_texts_give_the_same_model() -> None:
    """A file that is sorted by class gives the same outputs as a shuffled file."""
    ids, texts, labels = texts_and_labels(200)
    order = np.argsort(labels, kind="stable")
    model, others = fitted(ids, texts, labels)
    twin, other_others = fitted(ids.rows(order), [texts[row] for row in order], labels[order])
    np.testing.assert_allclose(other_others.outputs, others.outputs[order], atol=1e-4)
    np.testing.assert_allclose(twin.table, model.table, atol=1e-4)


def test_the_table_follows_the_data_and_the_classes() -> None:
    ids, texts, labels = texts_and_labels()
    two, _ = fitted(ids, texts, labels)
    many, _ = fitted(ids, texts, labels + 40 * (np.arange(60) % 3 == 0), classes=42)
    assert two.table.shape == (WORDS + two.buckets, 1)
    assert many.table.shape == (WORDS + many.buckets, 42)
    distinct = len({tuple(row) for row in zip(ids.values[:-1], ids.values[1:])})
    assert distinct <= two.buckets <= 8 * distinct
    assert many.buckets <= two.buckets
