"""Texts that TensorFlow Datasets has prepared on this machine. Nothing is downloaded."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from seqmodels.errors import DataError, UsageError

TEXT_NAMES = ("text", "sentence", "review")
LABEL_NAMES = ("label",)


def labeled_splits(
    data: str, split_names: Mapping[str, Sequence[str]], notes: list[str]
) -> dict[str, Iterator[tuple[str, str]]]:
    """The (text, label) rows of each split of ``tfds:NAME[/CONFIG][:VERSION]``, read as they are taken.

    The set is looked for in ``$TFDS_DATA_DIR``, or in the default place of tfds. ``split_names`` gives
    the names that each split may have in tfds. A split without labels (-1, as in the tests of GLUE) is left
    out and said in ``notes``.

    Raises:
        UsageError: tfds has no such set, configuration or version.
        DataError: the set is not prepared, is broken, or has no text or no class label that is plainly meant.
    """
    import tensorflow_datasets as tfds

    builder = _prepared(data)
    inputs, targets = (builder.info.supervised_keys or ("", ""))[:2]
    text = _feature(data, builder.info, tfds.features.Text, (inputs, *TEXT_NAMES))
    label = _feature(data, builder.info, tfds.features.ClassLabel, (targets, *LABEL_NAMES))
    splits = {}
    for split, dataset in _datasets(builder, split_names, (text, label)):
        source = f"{data}[{split}]"
        first = next(_examples(source, dataset.take(1), text, label), None)
        if first and first[1] < 0:
            notes.append(f"{source} is left out: its texts have no label")
        else:
            examples = _examples(source, dataset, text, label)
            splits[split] = _rows(source, examples, builder.info.features[label])
    if not splits:
        listed = ", ".join(builder.info.splits) or "none"
        raise DataError(f"{data} has the splits: {listed}; expected labelled texts in train at least")
    return splits


def text_splits(data: str, split_names: Mapping[str, Sequence[str]]) -> dict[str, Iterator[str]]:
    """The texts of each split, as `labeled_splits`; labels are not looked at.

    Raises:
        UsageError, DataError: as `labeled_splits`.
    """
    import tensorflow_datasets as tfds

    builder = _prepared(data)
    inputs = (builder.info.supervised_keys or ("",))[0]
    text = _feature(data, builder.info, tfds.features.Text, (inputs, *TEXT_NAMES))
    splits = {}
    for split, dataset in _datasets(builder, split_names, (text,)):
        source = f"{data}[{split}]"
        splits[split] = _texts(source, _examples(source, dataset, text))
    if not splits:
        listed = ", ".join(builder.info.splits) or "none"
        raise DataError(f"{data} has the splits: {listed}; expected texts in train at least")
    return splits


def _prepared(data: str) -> Any:
    """What reads the set, which is there."""
    data_dir = os.environ.get("TFDS_DATA_DIR") or os.path.expanduser("~/tensorflow_datasets")
    builder = _builder(data, data_dir)
    try:
        builder.as_dataset(split=[])  # answers before TensorFlow is imported
    except AssertionError as error:
        name = data.removeprefix("tfds:")
        call = f"import tensorflow_datasets as tfds; tfds.load('{name}', data_dir='{data_dir}')"
        remedy = f'on a machine with network run: python -c "{call}"'
        raise DataError(f"{data} is not prepared in {data_dir}; {remedy}") from error
    return builder


def _datasets(
    builder: Any, split_names: Mapping[str, Sequence[str]], features: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """Each split that the set has, with these features alone."""
    import tensorflow_datasets as tfds

    for split, names in split_names.items():
        for name in names:
            try:
                dataset = builder.as_dataset(
                    split=name,
                    decoders=tfds.decode.PartialDecoding(dict.fromkeys(features, True)),
                    read_config=tfds.ReadConfig(try_autocache=False),
                )
            except ValueError:  # no such split
                continue
            yield split, dataset
            break


def translations(
    data: str, split_names: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str, str], dict[str, Iterator[tuple[str, str]]]]]:
    """The languages of a translation set, and how to read (source, target) rows of each split, given two.

    Raises:
        UsageError: as :func:`labeled_splits`.
        DataError: the set is not prepared, is broken, or holds no translations.
    """
    import tensorflow_datasets as tfds

    builder = _prepared(data)
    features = builder.info.features
    if not isinstance(features, tfds.features.Translation):
        listed = ", ".join(features)
        raise DataError(f"{data} holds {listed}; expected a translation set, as tfds:para_crawl/enfr")

    def read(source: str, target: str) -> dict[str, Iterator[tuple[str, str]]]:
        splits = {}
        for split, names in split_names.items():
            for name in [name for name in names if name in builder.info.splits][:1]:
                # A translation is decoded as a whole.
                dataset = builder.as_dataset(split=name, read_config=tfds.ReadConfig(try_autocache=False))
                where = f"{data}[{split}]"
                splits[split] = _pairs(where, _examples(where, dataset, source, target))
        return splits

    return sorted(features), read


def _builder(data: str, data_dir: str) -> Any:
    """What reads the set, by its code in tfds or by its files in ``data_dir``."""
    import tensorflow_datasets as tfds

    form = re.fullmatch(r"tfds:((\w+)(/[\w.-]+)?(:[\d.*]+)?)", data)
    if not form:  # other forms of tfds' names ask the network
        raise UsageError(f"{data!r} names no set; expected tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION")
    known = sorted({*tfds.list_builders(with_community_datasets=False)})
    try:
        return tfds.builder(form[1], data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        near = get_close_matches(form[2], known)
        hint = f"did you mean {' or '.join(near)}?" if near else "see tensorflow.org/datasets/catalog"
        raise UsageError(f"{data} is unknown to tfds and not prepared in {data_dir}; {hint}") from error
    except (AssertionError, ValueError) as error:
        configurations = tfds.builder_cls(form[2]).builder_configs if form[2] in known else ()
        listed = ", ".join(configurations) or "none"
        reason = " ".join(str(error).split())
        raise UsageError(f"{data}: {reason} (configurations of {form[2]}: {listed})") from error


def _feature(data: str, info: Any, kind: type, preferred: Sequence[str]) -> str:
    """The first of the ``preferred`` names that is a feature of ``kind``, or the only one there is."""
    found = sorted(name for name, feature in info.features.items() if isinstance(feature, kind))
    named = [name for name in preferred if name in found]
    if not named and len(found) != 1:
        listed = ", ".join(found) or "none"
        raise DataError(
            f"{data}: {kind.__name__} features: {listed}; expected one; write the one meant to a .csv"
        )
    return (named or found)[0]


def _examples(source: str, dataset: Any, *features: str) -> Iterator[tuple]:
    """The values of these features of each row: texts in bytes, labels as numbers."""
    import tensorflow as tf

    try:
        for batch in dataset.batch(1024).as_numpy_iterator():
            yield from zip(*(batch[feature].tolist() for feature in features))
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise DataError(f"{source} is broken: {reason}; remove it and prepare it again") from error


def _rows(source: str, examples: Iterator[tuple], feature: Any) -> Iterator[tuple[str, str]]:
    names = [feature.int2str(index) for index in range(feature.num_classes)]
    for number, (text, index) in enumerate(examples, 1):
        if not 0 <= index < len(names):
            raise DataError(f"{source}:{number}: label {index}; expected 0 to {len(names) - 1} in every row")
        yield _decoded(source, number, text), names[index]


def _texts(source: str, examples: Iterator[tuple]) -> Iterator[str]:
    for number, (text,) in enumerate(examples, 1):
        yield _decoded(source, number, text)


def _pairs(source: str, examples: Iterator[tuple]) -> Iterator[tuple[str, str]]:
    for number, (text, translation) in enumerate(examples, 1):
        yield _decoded(source, number, text), _decoded(source, number, translation)


def _decoded(source: str, number: int, text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{source}:{number}: byte {error.start} is not UTF-8; prepare it again") from error
