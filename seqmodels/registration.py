"""Makes Keras find the classes of this package in a saved model, whichever of them have been imported.

Keras registers a class when its module is imported. These modules load TensorFlow, and importing the package
must not. So Keras gets a stand-in for every class, which imports the class when a model that has it is
loaded. If Keras is not imported yet, a finder on ``sys.meta_path`` waits for that.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from seqmodels.registry import ATTENTIONS, CELLS, POOLINGS

# Class to the module that has it. Those that a user may choose by name are in the registry.
SERIALIZABLE = {
    entry.path.partition(":")[2]: entry.path.partition(":")[0]
    for entry in (*CELLS.values(), *POOLINGS.values(), *ATTENTIONS.values())
} | {
    "AdaptiveSoftmax": "seqmodels.layers.softmax",
    "AttentionDecoderCell": "seqmodels.layers.decoder",
    "Classifier": "seqmodels.models.classifier",
    "Dropout": "seqmodels.layers.dropout",
    "EmbeddingDropout": "seqmodels.layers.dropout",
    "Encoder": "seqmodels.layers.encoder",
    "FixedWindowForecaster": "seqmodels.models.forecasting.linear",
    "FixedWindowModel": "seqmodels.models.language_model",
    "Forecaster": "seqmodels.models.forecasting.recurrent",
    "LanguageModel": "seqmodels.models.language_model",
    "LockedDropout": "seqmodels.layers.dropout",
    "NgramBag": "seqmodels.layers.ngram_bag",
    "Recurrent": "seqmodels.layers.recurrent",
    "Schedule": "seqmodels.training.optimizers",
    "TiedOutput": "seqmodels.layers.softmax",
    "Translator": "seqmodels.models.translator",
    "WordDropout": "seqmodels.layers.dropout",
}


class Deferred:
    """Stand-in for a class among the custom objects of Keras; imports it at the first use.

    The import replaces the stand-in, because the module of the class registers the class itself.
    """

    def __init__(self, name: str):
        self.__name__ = name

    @property
    def target(self) -> Any:
        return getattr(import_module(SERIALIZABLE[self.__name__]), self.__name__)

    def from_config(self, config: dict, **options: Any) -> Any:
        return self.target.from_config(config, **options)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.target(*arguments, **options)


class Finder:
    """Finder that loads Keras as the other finders do, then registers the stand-ins and removes itself."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "keras":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                _register(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Registers a stand-in for every class of ``SERIALIZABLE`` with Keras, once it is imported."""
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    else:
        sys.meta_path.insert(0, Finder())


def _register(keras: Any) -> None:
    objects = keras.saving.get_custom_objects()
    for name in SERIALIZABLE:
        objects.setdefault(f"seqmodels>{name}", Deferred(name))
