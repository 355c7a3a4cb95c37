"""Gradient caching: the gradient of a whole batch, whose rows go through the network in chunks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kinview.data.batch import Batch
from kinview.training.method import LossResult, Method, PairSizes
from kinview.training.processes import representations_of_all
from kinview.training.randomness import global_states, restore_global_states
from kinview.training.rowwise import RowwiseMethod, why_not_rowwise

__all__ = ["GradientCache"]

_WITHOUT = {  # encoders whose rows do not meet
    "time_series": "dilated_conv or patch_transformer",
    "tabular": "mlp, ft_transformer or {resnet_mlp: {normalisation: layer}}",
}


class GradientCache:
    r"""Loss of a batch and its gradient, of which one chunk at a time is in memory with what its gradient needs.

    With the representations :math:`h_i = f_\theta(v_i)` and the loss :math:`L(h_1, ..., h_N)` the gradient is

    .. math:: \frac{dL}{d\theta} = \sum_{\text{chunks } c} \; \sum_{i \in c} u_i^\top \frac{\partial h_i}{\partial
              \theta}, \qquad u_i = \frac{\partial L}{\partial h_i}.

    :meth:`loss` computes all h in chunks and without a graph, then the loss of all; its gradient, which the caller
    computes, leaves the u. :meth:`replay` computes each chunk again, with a graph and the same random numbers, and adds
    its part. The gradient is that of the batch, up to rounding; the price is one more pass through the network.

    Parameters
    ----------
    method : Method
        A :class:`~kinview.training.RowwiseMethod`, which gives both parts of the loss.
    views : list of Batch
        Views of the whole batch.
    chunk_size : int
        Rows of the batch, with all of their views, that go through the network at once.
    arithmetic : callable, optional
        Context in which the network and the loss are computed (autocast).

    Raises
    ------
    ValueError
        If the method has a loss that is not one of representations of single rows, says why it cannot be divided, or
        makes its views by weights that are trained; by :meth:`loss`, if what a row becomes depends on the others of its
        chunk (batch normalisation in train mode, a part that declares ``row_independent = False``).

    Notes
    -----
    As in the paper and its code, the generators' states are kept for each chunk, so that dropout leaves out the same
    cells twice. What the loss learns (a temperature) and the projectors after the representations get their gradient of
    the whole batch at once. Several processes of a trainer share the rows of each chunk; in a loop of one's own, where
    each has a batch of its own, the loss gathers representations as it always does.

    References
    ----------
    .. [1] Gao, Zhang, Han, Callan: Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup,
       RepL4NLP 2021, arXiv 2101.06983.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import SCARF
    >>> X = np.arange(60.0).reshape(20, 3)
    >>> estimator = SCARF(hidden_dim=8, random_state=0).initialise(X)
    >>> batch = estimator.to_batch(X)
    >>> cache = GradientCache(estimator.method_, [batch, batch], chunk_size=8)
    >>> cache.loss().loss.backward()  # of projections and representations
    >>> cache.replay()  # of the encoder; the optimiser takes its step now
    >>> all(weight.grad is not None for weight in estimator.method_.parameters())
    True
    """

    def __init__(
        self,
        method: Method,
        views: list[Batch],
        chunk_size: int,
        arithmetic: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        if (why := why_not_rowwise(method)) is not None:
            raise ValueError(_refusal(method, chunk_size, why))
        assert isinstance(method, RowwiseMethod)
        if (why := method.why_not_in_chunks()) is not None:
            raise ValueError(_refusal(method, chunk_size, why))
        if any(view.x.requires_grad for view in views):
            raise ValueError(_refusal(method, chunk_size, "its views are made by weights that are trained"))
        self.method = method
        self.views = method.rows_of_loss(views)
        self.chunk_size = chunk_size
        self.arithmetic = arithmetic
        self._cached: list[Tensor] = []
        self._states: list[dict[str, Tensor]] = []

    def loss(self) -> LossResult:
        """Loss of the whole batch; its gradient flows to the representations, and to weights used after them."""
        if len(self.views[0]) < self.method.min_rows:
            return self.method.nothing_to_learn()
        parts = []
        with torch.no_grad(), self._rows_apart():
            for _, chunk in self._chunks():
                self._states.append(global_states(chunk[0].x.device))
                with self.arithmetic():
                    parts.append(representations_of_all(self.method.representations, chunk))
        self._cached = [torch.cat(rows).requires_grad_() for rows in zip(*parts, strict=True)]
        with self.arithmetic():
            return self.method.loss_of_representations(self.views, self._cached)

    def replay(self) -> None:
        """Add to the weights what each chunk's representations owe them, after the loss has sent its gradient back."""
        device = self.views[0].x.device
        after = global_states(device)
        for (rows, chunk), states in zip(self._chunks(), self._states, strict=False):
            restore_global_states(states, device)
            with self.arithmetic():
                again = representations_of_all(self.method.representations, chunk)
            owed = [
                (h, cached.grad[rows])
                for h, cached in zip(again, self._cached, strict=True)
                if h.requires_grad and cached.grad is not None
            ]
            if owed:
                torch.autograd.backward([h for h, _ in owed], [gradient for _, gradient in owed])
        restore_global_states(after, device)

    def _chunks(self) -> Iterator[tuple[slice, list[Batch]]]:
        n = len(self.views[0])
        for start in range(0, n, self.chunk_size):
            rows = slice(start, min(start + self.chunk_size, n))
            yield rows, [view.rows(rows) for view in self.views]

    @contextmanager
    def _rows_apart(self) -> Iterator[None]:
        """Refuse what lets the rows of a chunk meet, where it is called."""

        def refuse(module: nn.Module, _inputs: object, name: str) -> None:
            kind = type(module).__name__.lstrip("_")
            how = _remedy(self.method, name)
            reason = f"{name} ({kind}) lets rows of a chunk meet, as batch normalisation does; {how}"
            raise ValueError(_refusal(self.method, self.chunk_size, reason))

        hooks = [
            part.register_forward_pre_hook(functools.partial(refuse, name=name))
            for name, part in self.method.named_modules()
            if _couples_rows(part)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def _remedy(method: Method, name: str) -> str:
    """Which parameter of a method to change, and to what, by where in its network a module stands."""
    part, sizes, whose = name, method.sizes, ""
    if isinstance(sizes, PairSizes) and name.startswith(("first.", "second.")):
        side, _, part = name.partition(".")
        sizes = sizes.first if side == "first" else sizes.second
        whose = "series_" if sizes.modality == "time_series" else "table_"
    part = part.partition(".")[0]
    if part.endswith("encoder"):
        return f"give the parameter {whose}encoder one whose rows do not meet, such as {_WITHOUT[sizes.modality]}"
    return "choose a network without"


def _refusal(method: Method, chunk_size: int, reason: str) -> str:
    return (
        f"Trainer(chunk_size={chunk_size}) has no exact gradient for {type(method).__name__}: {reason}. Or leave "
        "chunk_size out, and lower batch_size to what the memory allows"
    )


def _couples_rows(part: nn.Module) -> bool:
    """Whether what a row becomes depends on the other rows, in the mode that the part is in."""
    if isinstance(part, _BatchNorm):
        return part.training or part.running_mean is None
    return not getattr(part, "row_independent", True)
