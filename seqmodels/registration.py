"""Registers the classes of seqmodels with Keras, so that Keras can load saved models.

A decorator registers each class, but only when the module of the class is imported. The modules of all
classes load TensorFlow, and ``import seqmodels`` must not load TensorFlow. ``import seqmodels`` therefore
registers a stand-in for each class. When Keras needs a class to load a model, the stand-in imports the class.

``import seqmodels`` does not import Keras either. If Keras is imported later, an import finder on
``sys.meta_path`` registers the stand-ins at that time.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from seqmodels.registry import ATTENTIONS, CELLS, POOLINGS

# Maps the name of each class to its module. Classes that a user can choose by name come from the registry.
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
    """Stand-in for a class in the custom objects of Keras. It imports the class at first use.

    When the module of the class is imported, its decorator registers the class. The class then replaces the
    stand-in.
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
    """Import finder that registers the stand-ins when Keras is imported.

    Keras is imported in the normal way. After the import, the finder removes itself from ``sys.meta_path``
    and registers the stand-ins.
    """

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
    """Registers a stand-in for every class in ``SERIALIZABLE``.

    If Keras is not imported yet, the stand-ins are registered when Keras is imported.
    """
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    else:
        sys.meta_path.insert(0, Finder())


def _register(keras: Any) -> None:
    objects = keras.saving.get_custom_objects()
    for name in SERIALIZABLE:
        objects.setdefault(f"seqmodels>{name}", Deferred(name))
