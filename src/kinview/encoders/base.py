"""What encoders share: parameters that are checked and kept, and of series the way from a batch to `encode`."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.data.gaps import valid_lengths
from kinview.data.modality import SERIES, TABLE
from kinview.encoders.front_end import Filling, FillRule, FrontEndMode, GapFrontEnd, MissingRule
from kinview.old_pickles import FromPickle
from kinview.parameters import check_integer

__all__ = ["SeriesEncoder", "TableEncoder", "check_layers"]


class _Encoder(FromPickle, nn.Module, abc.ABC):
    """A module whose parameters are checked and kept in ``config``."""

    repr_dim: int
    config: dict[str, Any]
    row_independent: bool = True
    padding_independent: bool = True
    features_over_time: bool = True  # of series: the features follow one another as the steps do

    def __init__(self, sizes: Mapping[str, int], **others: Any) -> None:
        super().__init__()
        for name, size in sizes.items():
            check_integer(size, name, at_least=1)
        self.config = {**sizes, **others}

    def extra_repr(self) -> str:
        """Number of parameters in the printed module."""
        return f"parameters={sum(p.numel() for p in self.parameters())}"


class TableEncoder(_Encoder):
    """Base class of encoders of tables: ``forward(x)`` makes ``(n, D)`` of ``(n, columns)``.

    Its ``modality`` is what its entry in the registry has.

    Parameters
    ----------
    cardinalities : sequence of int
        For each column the number of codes (with the code 0 of unseen categories), or 0 where it is a number.
    sizes : mapping of str to int
        Parameters that are whole numbers of at least 1; they are checked.
    **others : Any
        The other parameters. All of them are kept in ``config``, each under its own name.
    """

    modality: ClassVar[str] = TABLE

    def __init__(self, cardinalities: Sequence[int], sizes: Mapping[str, int], **others: Any) -> None:
        super().__init__(sizes, cardinalities=list(cardinalities), **others)

    def learn(self, x: Float[Tensor, "n columns"]) -> None:
        """Learn what it needs of training rows ``(n, columns)`` before the first step, as buffers; nothing by default.

        An estimator calls it once, for an untrained control too. No statistic of fewer than five rows is kept.
        """

    @abc.abstractmethod
    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n d"]:
        """Representations ``(n, D)`` of rows in which NaN is a missing cell and a category its code."""


class SeriesEncoder(_Encoder):
    """Base class of encoders of series: ``forward(x, *, times=None, hide=None)`` around :meth:`encode`.

    Parameters
    ----------
    sizes : mapping of str to int
        Parameters that are whole numbers of at least 1, ``channels`` among them; they are checked.
    front_end, missing : str, optional
        How the network sees missingness: :meth:`encode` gets the features of this :class:`GapFrontEnd`, which the
        encoder holds under the name ``front_end``. Without one it gets the series, and hidden steps are gaps in it.
    fill : str, optional
        How gaps are filled: by the front end, which has zeros by default; without one in the series that
        :meth:`encode` gets, by position whatever the time stamps say, and not at all by default.
    **others : Any
        The other parameters. All of them are kept in ``config``, each under its own name.

    Examples
    --------
    >>> class Means(SeriesEncoder):
    ...     def __init__(self, channels, front_end="values+mask", missing="channel"):
    ...         super().__init__({"channels": channels}, front_end=front_end, missing=missing)
    ...         self.repr_dim = self.front_end.out_channels
    ...
    ...     def encode(self, features, lengths, observed):
    ...         return features.sum(dim=2) / lengths.clamp_min(1)[:, None]
    >>> Means(1)(torch.tensor([[[2.0, float("nan"), 4.0, float("nan")]]])).tolist()  # the series ends after the 4
    [[2.0, 0.6666666865348816]]
    """

    modality: ClassVar[str] = SERIES

    def __init__(
        self,
        sizes: Mapping[str, int],
        *,
        front_end: FrontEndMode | None = None,
        missing: MissingRule = "channel",
        fill: FillRule | None = None,
        **others: Any,
    ) -> None:
        if front_end is not None:
            others.update(front_end=front_end, missing=missing)
        if fill is not None:
            others.update(fill=fill)
        super().__init__(sizes, **others)
        if front_end is not None:
            self.front_end = GapFrontEnd(sizes["channels"], front_end, missing, fill or "zero")
        elif fill is not None:
            self.filling = Filling(sizes["channels"], fill)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fill in what the pickle of an earlier version lacks."""
        super().__setstate__(state)
        if self.gaps is None and self.config.get("fill") is not None:
            self.filling = Filling(self.config["channels"], self.config["fill"])

    @property
    def gaps(self) -> Filling | None:
        """What fills gaps: the front end, or the filling of an encoder without one."""
        found = self._modules.get("front_end", self._modules.get("filling"))
        return found if isinstance(found, Filling) else None

    def shown(
        self,
        x: Float[Tensor, "n c t"],
        times: Float[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> Bool[Tensor, "n t"]:
        """Steps of each series that count: those observed; where gaps are filled, all between its start and its end."""
        return ~torch.isnan(x).all(dim=1) if self.gaps is None else self.gaps.shown(x, times, offset)

    @property
    def receptive_field(self) -> int | None:
        """Number of input steps that one feature can see; None: all steps of the series."""
        return None

    def forward(
        self,
        x: Float[Tensor, "n c t"],
        *,
        times: Float[Tensor, "n t"] | None = None,
        hide: Bool[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n d ..."]:
        """Features ``(n, D, T')``, zero beyond the end of a row, or one representation a row ``(n, D)``.

        Parameters
        ----------
        x : Tensor
            Series ``(n, C, T)`` with NaN where nothing was observed.
        times : Tensor, optional
            Time stamps ``(n, T)``; a finite stamp keeps an unobserved trailing step as a gap.
        hide : Tensor, optional
            Steps ``(n, T)`` to blank before the network, once gaps are filled; without a front end, to take for gaps.
        offset : Tensor, optional
            Position ``(n,)`` of the first step of each row in the series that it is cut from.
        """
        return self.encode(*self.prepared(x, times=times, hide=hide, offset=offset))

    def prepared(
        self,
        x: Float[Tensor, "n c t"],
        *,
        times: Float[Tensor, "n t"] | None = None,
        hide: Bool[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> tuple[Float[Tensor, "n features t"], Int64[Tensor, " n"], Bool[Tensor, "n t"]]:
        """What :meth:`encode` gets of series: features, valid lengths, and the steps that are shown and not hidden."""
        if "front_end" not in self._modules:
            known = x if hide is None else x.masked_fill(hide[:, None, :], torch.nan)
            filled = known if self.gaps is None else self.gaps(known, offset=offset)
            return filled, valid_lengths(known, times), self.shown(known, times, offset)
        features, observed = self.front_end(x, times, offset)
        if hide is not None:
            features, observed = features.masked_fill(hide[:, None, :], 0.0), observed & ~hide
        return features, valid_lengths(x, times), observed

    @abc.abstractmethod
    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d ..."]:
        """Representations of features.

        Parameters
        ----------
        features : Tensor
            What the front end makes of the series, hidden steps zero; or the series, with its gaps where it fills none.
        lengths : Tensor
            Valid length of each series ``(n,)``.
        observed : Tensor
            Steps ``(n, T)`` that are shown and not hidden: those observed, or all of a series whose gaps are filled.
        """

    def extra_repr(self) -> str:
        """Receptive field and number of parameters in the printed module."""
        return f"receptive_field={self.receptive_field or 'the whole series'}, {super().extra_repr()}"


def check_layers(part: str, **given: Sequence[int] | None) -> None:
    """Refuse convolutions that are not given by whole numbers, as many of each kind, with odd kernels.

    Parameters
    ----------
    part : str
        What has one number of each kind: ``"layer"``, ``"block"``.
    **given : sequence of int or None
        The numbers by the name of their parameter, ``kernel_sizes`` among them; None is not looked at.

    Raises
    ------
    ValueError
        If they are something else.
    """
    lists = {name: values for name, values in given.items() if values is not None}
    for name, values in lists.items():
        if not isinstance(values, list | tuple) or not values:
            raise ValueError(f"{name} must be whole numbers, one a {part}; got {values!r}")
        for place, value in enumerate(values):
            check_integer(value, f"{name}[{place}]", at_least=1)
    if len({len(values) for values in lists.values()}) > 1:
        found = ", ".join(f"{name} {len(values)}" for name, values in lists.items())
        raise ValueError(f"{', '.join(lists)} must have one entry a {part}; they have: {found}")
    kernels = lists["kernel_sizes"]
    if any(kernel % 2 == 0 for kernel in kernels):
        raise ValueError(f"kernel_sizes must be odd, so that a feature is centred; got {tuple(kernels)}")
