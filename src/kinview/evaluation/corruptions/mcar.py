"""Missing completely at random."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from kinview.data.modality import SERIES, modality_of
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning

__all__ = ["MCAR"]


@corruptions.register("mcar", modality="any", reference="Rubin 1976; cells as PyGrinder's rdo")
@dataclasses.dataclass(frozen=True)
class MCAR(Corruption):
    r"""Remove an exact fraction of what was observed, completely at random.

    Of :math:`N` observed units, :math:`\mathrm{round}(\mathrm{rate} \cdot N)` are drawn without replacement over the
    whole data set; each is as likely as any other, whatever its value.

    Parameters
    ----------
    rate : float
        Fraction of the observed units to remove.
    mode : {"cell", "timestep"}
        What a unit is. ``"cell"``: one value (what PyGrinder calls *rdo*). ``"timestep"``: one time step of one series,
        all channels together, as in the irregular-sampling experiments of TS2Vec; a step counts when a channel of it
        was observed. Default: cells.

    Raises
    ------
    ValueError
        If a parameter is out of range, or time steps are to go from a table.

    Notes
    -----
    In an array the last steps of a series may go, and by the data convention a trailing run of steps without a value is
    the end of the series. In a panel frame the rows and their time stamps stay, so they remain as a gap.

    The official TS2Vec code drops :math:`\lfloor \mathrm{rate} \cdot N \rfloor` steps and counts padding among them.

    References
    ----------
    .. [1] Rubin, D. B. (1976). Inference and missing data. Biometrika 63, 581-592.
    .. [2] Du, W. et al. PyGrinder. https://github.com/WenjieDu/PyGrinder
    .. [3] Yue, Z. et al. (2022). TS2Vec: Towards universal representation of time series. AAAI.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(2, 2, 3)
    >>> X_corrupted, removed = MCAR(rate=0.5, mode="timestep").apply(X, seed=0)
    >>> removed.astype(int).tolist()
    [[[0, 0, 1], [0, 0, 1]], [[1, 0, 1], [1, 0, 1]]]
    """

    mode: Literal["cell", "timestep"] = "cell"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("cell", "timestep"):
            raise ValueError(f"mode={self.mode!r} is unknown; use 'cell' or 'timestep'")

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """Why these samples have no time steps to lose."""
        table = self.mode == "timestep" and modality_of(X) != SERIES
        return "mode='timestep' is of time series: a table has no time steps" if table else None

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        if self.mode == "cell":
            return self._fraction_of(cells.observed, generator)
        if not cells.time_series:
            raise ValueError(
                "mode='timestep' needs time series: an array (n, channels, time) or a frame with a MultiIndex "
                "(series, time); a table has no time steps, use mode='cell'"
            )
        steps = self._fraction_of(np.logical_or.reduce(cells.observed, axis=1), generator)
        return np.asarray(np.logical_and(cells.observed, steps[:, None]))

    def _fraction_of(
        self, observed: Bool[np.ndarray, " ..."], generator: np.random.Generator
    ) -> Bool[np.ndarray, " ..."]:
        candidates = np.flatnonzero(observed)
        # The whole order is drawn whatever the rate, so that a lower rate takes a beginning of it.
        order = generator.permutation(candidates)
        return beginning(order, self.rate, observed.shape)
