"""Methods whose loss rests on representations of single rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.training.method import LossResult, Method

__all__ = ["RowwiseMethod"]


class RowwiseMethod(Method):
    r"""A method whose loss is :math:`L(f(v_1), f(v_2), ...)`: of representations, each made of one row of a view alone.

    It gives both parts where another method gives :meth:`~kinview.training.Method.loss`: :meth:`representations`, the
    network f that reads each row by itself, and :meth:`loss_of_representations`, all that looks at rows together
    (projectors, whose batch normalisation takes the whole batch then, queues, the contrast). So the trainer can go
    through f in chunks and still has the gradient of the whole batch: ``Trainer(chunk_size=...)``. A class that derives
    from a method with both parts and overrides :meth:`loss` alone is not divided.
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
        return self.loss_of_representations(views, self.representations(views))
