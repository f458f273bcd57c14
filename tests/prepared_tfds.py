"""Datasets for tests, written in the format of TensorFlow Datasets (tfds)."""

from pathlib import Path

import tensorflow as tf
import tensorflow_datasets as tfds

SENTIMENT = {"sentence": tfds.features.Text(), "label": tfds.features.ClassLabel(names=["neg", "pos"])}


def prepare(
    folder: Path,
    name: str,
    splits: dict,
    features: dict | tfds.features.FeaturesDict | None = None,
    **options,
) -> None:
    """Writes a dataset in the format of ``tfds build``."""
    folder.mkdir(parents=True)
    feature = features or SENTIMENT
    if isinstance(feature, dict):
        feature = tfds.features.FeaturesDict(feature)
    infos = []
    for split, rows in splits.items():
        with tf.io.TFRecordWriter(str(folder / f"{name}-{split}.tfrecord-00000-of-00001")) as writer:
            for row in rows:
                writer.write(feature.serialize_example(feature.encode_example(row)))
        infos.append(tfds.core.SplitInfo(name=split, shard_lengths=[len(rows)], num_bytes=0))
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=feature,
        split_infos=infos,
        filename_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        **options,
    )
