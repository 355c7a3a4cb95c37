"""Published methods and the controls they must beat, as estimators."""

from kinview.registry import Registry

__all__ = ["methods"]

methods = Registry(
    "methods",
    members=("kinview.methods.ts2vec", "kinview.methods.scarf", "kinview.methods.raw", "kinview.methods.random_init"),
)
