"""Tests of the options of translation that follow from the number of pairs."""

from __future__ import annotations

import pytest

from apps.options import AUTO, resolve
from apps.translation.defaults import choose
from apps.translation.options import Train
from seqmodels.errors import UsageError


def test_few_pairs_get_small_networks_and_many_epochs() -> None:
    few, more, many = (choose(Train(), pairs)[0] for pairs in (1_000, 5_000, 29_000))
    assert few.epochs > more.epochs > many.epochs
    assert few.dropout > more.dropout > many.dropout
    for name in ("units", "decoder_units", "batch_size", "vocabulary"):
        assert getattr(few, name) < getattr(many, name)
    for options in (few, more, many):
        assert options.automatic() == []


def test_user_values_are_kept_and_the_others_are_named() -> None:
    options, (note,) = choose(Train(units=7, epochs=3), 1_000)
    assert (options.units, options.epochs) == (7, 3)
    assert "--decoder-units 192" in note
    assert "--units" not in note.replace("--decoder-units", "").replace("--embedding-units", "")
    assert choose(options, 1_000) == (options, [])


@pytest.mark.parametrize("given", [{}, {"units": 50}, {"decoder_units": 60}, {"bidirectional": False}])
def test_dot_attention_gets_a_decoder_of_the_size_of_the_encoder(given) -> None:
    options, _ = choose(Train(attention="dot", **given), 1_000)
    assert options.decoder_units == options.units * (2 if options.bidirectional else 1)
    assert {name: getattr(options, name) for name in given} == given


def test_a_chosen_size_that_does_not_fit_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="decoder-units must equal"):
        choose(Train(attention="dot", units=10, decoder_units=30), 1_000)


@pytest.mark.parametrize("preset", Train.presets)
def test_presets_leave_nothing_open(preset) -> None:
    options, _ = choose(resolve(Train, {"preset": preset}), 5_000)
    assert AUTO not in options.stored().values()
