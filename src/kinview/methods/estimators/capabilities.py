"""What an estimator declares about itself: five frozen flags, which everything that drives methods reads."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from kinview.methods.estimators.base import EstimatorCore

__all__ = ["FLAGS", "MANY_FEATURES", "Capabilities", "check_declared"]

MANY_FEATURES = 2_000
"""Columns beyond which only some probes take them."""

FLAGS = ("trains", "uses_labels", "passes_missing", "control", "network_of")


class Capabilities:
    """Base class of all methods: five flags, declared in the body of a class and never assigned afterwards.

    Nothing asks signatures, base classes or names what a method can do. A class whose answer depends on its parameters
    makes a property of the flag. :func:`kinview.testing.check_method` proves each flag in both directions.

    Attributes
    ----------
    trains : bool
        ``fit`` changes the weights of a network, by the values of the parameter ``trainer``.
    uses_labels : bool
        ``fit`` reads ``y``. Otherwise labels may be given, and change nothing.
    passes_missing : bool
        ``transform`` takes ``missing="keep"``, and then passes NaN on to whoever reads its result.
    control : bool
        A control, which representation methods have to beat. It does not pre-train: its ``fit`` trains nothing, or
        trains with labels. What is not a control trains a network of its own.
    network_of : str or None
        For a control around the network of another method: the parameter that holds the spec of that method. Its value
        None stands for the default method of the modality. Such a control has ``initialise``, and no ``trainer``.

    Notes
    -----
    ``modality`` ("time_series", "tabular", "any") says what a method reads. ``SeriesEstimator`` and
    ``TabularEstimator`` have it; another class says it at registration, or in its body. A control around another
    method, which reads what that one reads, makes a property of it.

    Examples
    --------
    >>> from kinview.methods import methods
    >>> methods.build("raw").control, methods.build("raw").trains
    (True, False)
    >>> methods.build("random_init").network_method("tabular")
    'scarf'
    """

    trains: ClassVar[bool] = False
    uses_labels: ClassVar[bool] = False
    passes_missing: ClassVar[bool] = False
    control: ClassVar[bool] = False
    network_of: ClassVar[str | None] = None

    @property
    def min_channels(self) -> int:
        """Fewest channels, or columns, that ``fit`` takes; a benchmark leaves the method out on data sets of fewer."""
        return 1

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FLAGS:
            raise AttributeError(f"{type(self).__name__}.{name} is a frozen flag; declare it in the body of the class")
        super().__setattr__(name, value)

    @property
    def wide(self) -> bool:
        """Whether it has more features than :data:`MANY_FEATURES`, as it is configured: some probes take no more."""
        return False

    @property
    def uses(self) -> frozenset[str]:
        """Which of ``y``, ``groups`` and ``extra`` change what ``fit`` learns."""
        return frozenset({"y"} if self.uses_labels else ())

    @property
    def needs(self) -> frozenset[str]:
        """Which of what it uses ``fit`` cannot do without; all of it by default."""
        return self.uses

    @property
    def fitted_network(self) -> EstimatorCore | None:
        """Fitted estimator whose network embeds: itself, or the one inside a control; None where there is none."""
        return None

    @property
    def trained_by_probe(self) -> bool:
        """Whether a benchmark leaves the training to a probe that trains networks: labels train another's network."""
        return self.uses_labels and self.network_of is not None

    def network_method(self, modality: str) -> Any:
        """Spec of the method whose network a control has on data of a modality; None for what is not such a control."""
        if self.network_of is None:
            return None
        return getattr(self, self.network_of)


def check_declared(target: Any) -> None:
    """Refuse a class that does not declare its flags, or declares something else than a flag can be.

    Raises
    ------
    TypeError
        What is wrong, and how to declare it.
    """
    name = getattr(target, "__qualname__", repr(target))
    if not isinstance(target, type) or not issubclass(target, Capabilities):
        raise TypeError(
            f"{name} does not declare what it can do ({', '.join(FLAGS)}): derive it from SeriesEstimator or "
            f"TabularEstimator, a control from kinview.methods.estimators.Capabilities"
        )
    for hook in ("why_not_trainable", "check_parameters"):
        if hasattr(target, f"_{hook}"):
            raise TypeError(f"{name} defines _{hook}, which nothing calls any more: name it {hook}")
    for flag in FLAGS:
        declared = inspect.getattr_static(target, flag)
        if isinstance(declared, property):
            continue
        if flag == "network_of" and not (declared is None or isinstance(declared, str)):
            raise TypeError(f"{name}.network_of must be the name of a parameter or None; got {declared!r}")
        if flag != "network_of" and not isinstance(declared, bool):
            raise TypeError(f"{name}.{flag} must be True or False; got {declared!r}")
