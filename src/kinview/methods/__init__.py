"""Published methods and the controls they must beat, as estimators."""

from kinview.methods.capabilities import check_declared
from kinview.registry import Registry

__all__ = ["classifiers", "methods"]

methods = Registry(
    "methods",
    members=(
        "kinview.methods.ts2vec",
        "kinview.methods.tstcc",
        "kinview.methods.tfc",
        "kinview.methods.simclr",
        "kinview.methods.scarf",
        "kinview.methods.raw",
        "kinview.methods.random_init",
        "kinview.methods.supervised",
    ),
    check=check_declared,
)
classifiers = Registry("classifiers", members=("kinview.methods.fine_tuning",))
