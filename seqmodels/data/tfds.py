"""Reads texts that TensorFlow Datasets (tfds) has prepared on this machine. Data is never downloaded."""

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
    """Reads the (text, label) rows of each split of a tfds dataset lazily.

    The dataset is read from ``$TFDS_DATA_DIR``, or from the default folder of tfds. A split is skipped if
    its labels are missing. A missing label has the value -1, for example in the test splits of GLUE.

    Args:
        data: name of the dataset in the form ``tfds:NAME[/CONFIG][:VERSION]``.
        split_names: names that each split may have in tfds, such as ``{"valid": ("valid", "validation")}``.
        notes: list to which a note is appended for each skipped split.

    Returns:
        Dictionary from the name of each split to an iterator of (text, label) tuples.

    Raises:
        UsageError: tfds does not have the dataset, configuration or version.
        DataError: the dataset is not prepared or is corrupt; the text feature or the label feature is
            missing; or several features could be the text or the label.
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
            notes.append(f"{source} is skipped because its texts have no labels")
        else:
            examples = _examples(source, dataset, text, label)
            splits[split] = _rows(source, examples, builder.info.features[label])
    if not splits:
        listed = ", ".join(builder.info.splits) or "none"
        raise DataError(f"{data} must have a train split with labelled texts; found the splits {listed}")
    return splits


def text_splits(data: str, split_names: Mapping[str, Sequence[str]]) -> dict[str, Iterator[str]]:
    """Reads the texts of each split of a tfds dataset lazily. The arguments are as in `labeled_splits`.

    Raises:
        UsageError, DataError: see `labeled_splits`.
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
        raise DataError(f"{data} must have a train split with texts; found the splits {listed}")
    return splits


def _prepared(data: str) -> Any:
    """Returns the builder of a dataset that is prepared on this machine."""
    data_dir = os.environ.get("TFDS_DATA_DIR") or os.path.expanduser("~/tensorflow_datasets")
    builder = _builder(data, data_dir)
    try:
        builder.as_dataset(split=[])  # fails if data is missing, before TensorFlow is imported
    except AssertionError as error:
        name = data.removeprefix("tfds:")
        call = f"import tensorflow_datasets as tfds; tfds.load('{name}', data_dir='{data_dir}')"
        remedy = f'run on a machine with network access: python -c "{call}"'
        raise DataError(f"{data} is not prepared in {data_dir}; {remedy}") from error
    return builder


def _datasets(
    builder: Any, split_names: Mapping[str, Sequence[str]], features: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    """Yields ``(name of the split, dataset)`` for each split that exists. Only ``features`` are decoded."""
    import tensorflow_datasets as tfds

    for split, names in split_names.items():
        for name in names:
            try:
                dataset = builder.as_dataset(
                    split=name,
                    decoders=tfds.decode.PartialDecoding(dict.fromkeys(features, True)),
                    read_config=tfds.ReadConfig(try_autocache=False),
                )
            except ValueError:  # the dataset does not have this split
                continue
            yield split, dataset
            break


def translations(
    data: str, split_names: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str, str], dict[str, Iterator[tuple[str, str]]]]]:
    """Returns the languages of a translation dataset, and a function that reads the texts of two languages.

    The function receives the source language and the target language. It returns a dictionary from the name
    of each split to an iterator of (source text, target text) tuples.

    Raises:
        UsageError: see :func:`labeled_splits`.
        DataError: the dataset is not prepared, is corrupt, or does not contain translations.
    """
    import tensorflow_datasets as tfds

    builder = _prepared(data)
    features = builder.info.features
    if not isinstance(features, tfds.features.Translation):
        listed = ", ".join(features)
        raise DataError(
            f"{data} has the features {listed}; expected a translation dataset such as tfds:para_crawl/enfr"
        )

    def read(source: str, target: str) -> dict[str, Iterator[tuple[str, str]]]:
        splits = {}
        for split, names in split_names.items():
            for name in [name for name in names if name in builder.info.splits][:1]:
                # All languages are decoded here, because tfds always decodes them together.
                dataset = builder.as_dataset(split=name, read_config=tfds.ReadConfig(try_autocache=False))
                where = f"{data}[{split}]"
                splits[split] = _pairs(where, _examples(where, dataset, source, target))
        return splits

    return sorted(features), read


def _builder(data: str, data_dir: str) -> Any:
    """Returns the builder of a dataset that tfds contains or that is prepared in ``data_dir``."""
    import tensorflow_datasets as tfds

    form = re.fullmatch(r"tfds:((\w+)(/[\w.-]+)?(:[\d.*]+)?)", data)
    if not form:  # other name formats of tfds access the network
        raise UsageError(
            f"{data!r} is not a dataset name; use tfds:NAME, tfds:NAME/CONFIG or tfds:NAME:VERSION"
        )
    known = sorted({*tfds.list_builders(with_community_datasets=False)})
    try:
        return tfds.builder(form[1], data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        near = get_close_matches(form[2], known)
        hint = f"did you mean {' or '.join(near)}?" if near else "see tensorflow.org/datasets/catalog"
        raise UsageError(
            f"{data} is not a dataset of tfds and is not prepared in {data_dir}; {hint}"
        ) from error
    except (AssertionError, ValueError) as error:
        configurations = tfds.builder_cls(form[2]).builder_configs if form[2] in known else ()
        listed = ", ".join(configurations) or "none"
        reason = " ".join(str(error).split())
        raise UsageError(f"{data}: {reason} (available configurations of {form[2]}: {listed})") from error


def _feature(data: str, info: Any, kind: type, preferred: Sequence[str]) -> str:
    """Returns the name of a feature that has the type ``kind``.

    The result is the first name in ``preferred`` whose feature has this type. If ``preferred`` has none, the
    dataset must have exactly one feature of this type.
    """
    found = sorted(name for name, feature in info.features.items() if isinstance(feature, kind))
    named = [name for name in preferred if name in found]
    if not named and len(found) != 1:
        listed = ", ".join(found) or "none"
        raise DataError(
            f"{data} must have exactly one {kind.__name__} feature; found {listed}; write the rows to a .csv "
            "file and use that file"
        )
    return (named or found)[0]


def _examples(source: str, dataset: Any, *features: str) -> Iterator[tuple]:
    """Yields the values of the given features for each row. Texts are bytes, and labels are numbers."""
    import tensorflow as tf

    try:
        for batch in dataset.batch(1024).as_numpy_iterator():
            yield from zip(*(batch[feature].tolist() for feature in features))
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0]
        raise DataError(f"{source} is corrupt ({reason}); remove the dataset and prepare it again") from error


def _rows(source: str, examples: Iterator[tuple], feature: Any) -> Iterator[tuple[str, str]]:
    names = [feature.int2str(index) for index in range(feature.num_classes)]
    for number, (text, index) in enumerate(examples, 1):
        if not 0 <= index < len(names):
            raise DataError(
                f"{source}:{number}: the label is {index}; expected a number from 0 to {len(names) - 1}"
            )
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
        raise DataError(
            f"{source}:{number}: byte {error.start} is not UTF-8; prepare the dataset again"
        ) from error
