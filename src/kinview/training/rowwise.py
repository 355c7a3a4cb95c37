"""Methods whose loss rests on representations of single rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.training.method import LossResult, Method
from kinview.training.processes import representations_of_all

__all__ = ["RowwiseMethod", "check_divisible", "why_not_rowwise"]


class RowwiseMethod(Method):
    r"""A method whose loss is :math:`L(f(v_1), f(v_2), ...)`: of representations, each made of one row of a view alone.

    It gives both parts where another method gives :meth:`~kinview.training.Method.loss`: :meth:`representations`, the
    network f that reads each row by itself, and :meth:`loss_of_representations`, all that looks at rows together
    (projectors, whose batch normalisation takes the whole batch then, queues, the contrast). So the trainer can go
    through f in chunks and still has the gradient of the whole batch (``Trainer(chunk_size=...)``), and several
    processes can share its rows. A class that derives from a method with both parts and overrides :meth:`loss` alone is
    not divided.
    """

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Views of the rows that take part in the loss; all by default."""
        return views

    @abstractmethod
    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n ..."]]:
        """What the network makes of each row of the views by itself, one row a row; of any number of rows alike."""

    @abstractmethod
    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Loss of the representations of these views; gradients flow to them, and to weights that it uses itself."""

    def why_not_in_chunks(self) -> str | None:
        """Why, as it is built, it cannot be trained in chunks; None where it can."""
        return None

    def loss(self, views: list[Batch]) -> LossResult:
        """Loss of the representations of the rows that take part; zero where these are too few to contrast."""
        views = self.rows_of_loss(views)
        if len(views[0]) < self.min_rows:
            return self.nothing_to_learn()
        return self.loss_of_representations(views, representations_of_all(self.representations, views))


def why_not_rowwise(method: Method) -> str | None:
    """Why the rows of a method cannot be divided, as the end of a sentence; None where they can."""
    if not isinstance(method, RowwiseMethod) or _has_another_loss(type(method)):
        return "its loss does not say which part of the network reads each row by itself (see RowwiseMethod)"
    return None


def check_divisible(method: Method) -> None:
    """Refuse a method whose rows cannot be divided among processes.

    Raises
    ------
    ValueError
        If its loss is not one of representations of single rows, or a part of it lets rows meet otherwise than by batch
        normalisation.
    """
    why = why_not_rowwise(method)
    for name, part in method.named_modules():
        if why is None and not getattr(part, "row_independent", True):
            why = f"in {name} ({type(part).__name__}) what a row becomes depends on the other rows"
    if why is not None:
        raise ValueError(
            f"{type(method).__name__} cannot be trained by several processes: {why}. Start it as one process"
        )


def _has_another_loss(kind: type[RowwiseMethod]) -> bool:
    """Whether a class derived from one with both parts has a loss of its own, which these parts are not."""
    names = ("loss", "loss_of_representations")
    whole, part = (next(k for k, base in enumerate(kind.__mro__) if name in vars(base)) for name in names)
    return whole < part
