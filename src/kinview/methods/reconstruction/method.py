"""A decoder gives back what was observed: autoencoder, denoising autoencoder, masked reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.data.gaps import offset_of, valid_lengths, with_ends_of, with_something_observed
from kinview.encoders.pooling import (
    PoolingName,
    encoded_over_time,
    feature_lengths,
    pooled,
    require_features_over_time,
    steps_of_a_feature,
)
from kinview.losses.cell_error import cell_error, cell_outputs
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, one_view_of, width_of
from kinview.modules.decoders import StepDecoder, VectorDecoder
from kinview.training.method import LossResult, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["Counted", "DecodedFrom", "ReconstructionMethod"]

Counted = Literal["all", "changed"]
DecodedFrom = Literal["representation", "steps"]

_OVER_TIME = {
    "wanted": "decoded_from='steps' needs an encoder with",
    "instead": "give decoded_from='representation', or another encoder",
}


class ReconstructionMethod(RowwiseMethod):
    r"""An encoder f reads a corrupted sample, a decoder g gives back the sample as it was.

    With :math:`\hat x = g(f(\tilde x))` the loss is the mean error over the counted cells of a batch: the squared
    difference of a number, the cross-entropy of a category. Cells that were not observed never count; under
    ``counted="changed"`` only those do that the corruption has changed or hidden.
    """

    training_defaults: ClassVar[dict[str, Any]] = dict(shared.SIMCLR_TRAINING)

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = encoder_of("encoder", parameters.encoder, sizes)
        self.corruption = _corruption_of(parameters.corruption, sizes.modality)
        self.counted: Counted = parameters.counted
        self.pooling: PoolingName = getattr(parameters, "pooling", "max")
        self.decoded_from: DecodedFrom = getattr(parameters, "decoded_from", "representation")
        width = width_of(self.encoder)
        how = {"hidden_dim": parameters.decoder_hidden_dim, "depth": parameters.decoder_depth}
        if sizes.modality == "tabular":
            self.decoder: nn.Module = VectorDecoder(width, sum(cell_outputs(sizes.cardinalities)), **how)
        elif self.decoded_from == "representation":
            self.decoder = VectorDecoder(width, (sizes.channels, max(1, sizes.length)), **how)
        else:
            require_features_over_time(self.encoder, **_OVER_TIME)
            self.decoder = StepDecoder(width, sizes.channels, steps_of_a_feature(self.encoder, sizes.length), **how)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The samples as the corruption leaves them; ``extra["clean"]`` holds what they were."""
        seen = batch
        if self.corruption is not None:
            corruption = self.corruption.at(progress)
            seen = corruption(batch, generator)
            if corruption.makes_gaps:
                seen = with_ends_of(seen, batch)
        return [seen.replace(extra={**seen.extra, "clean": batch.x})]

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Samples of which something is left to see."""
        return with_something_observed(views) if self.sizes.modality == "time_series" else views

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n ..."]]:
        """What is decoded of each sample."""
        (seen,) = views
        return [self._decoded(seen) if self.sizes.modality == "time_series" else self.decoder(self.embed(seen))]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Mean error over the counted cells."""
        (seen,), (decoded,) = views, representations
        clean = seen.extra["clean"]
        assert isinstance(clean, Tensor)
        if self.sizes.modality == "time_series":
            counts = ~torch.isnan(clean)
            error = (decoded - torch.where(counts, clean, 0)).square()
        else:
            error, counts = cell_error(decoded, clean, self.sizes.cardinalities)
        if self.counted == "changed":
            counts = counts & (seen.x != clean)  # what is hidden is NaN, which equals nothing
        return LossResult(torch.where(counts, error, 0).sum() / counts.sum().clamp_min(1))

    def embed(self, batch: Batch) -> Tensor:
        """The encoder's output; the decoder serves training only."""
        if self.sizes.modality == "time_series":
            return pooled(self.encoder, batch.x, batch.times, self.pooling, offset_of(batch))
        out: Tensor = self.encoder(batch.x)
        return out

    def _decoded(self, seen: Batch) -> Tensor:
        """Values ``(n, C, T)`` from the representation, or from the features at each step."""
        steps = seen.x.shape[2]
        if self.decoded_from == "representation":
            whole: Tensor = self.decoder(self.embed(seen))
            return whole[:, :, :steps]
        z = encoded_over_time(self.encoder, seen.x, seen.times, offset_of(seen), **_OVER_TIME)
        lengths = valid_lengths(seen.x, seen.times)
        out: Tensor = self.decoder(z, lengths, feature_lengths(self.encoder, lengths), steps)
        return out


def _corruption_of(spec: Any, modality: str) -> Augmentation | None:
    """Augmentation that a method's parameter ``corruption`` describes; None for none.

    Raises
    ------
    ValueError
        If it leaves cells elsewhere than they were: what is decoded is compared cell by cell.
    """
    if spec is None:
        return None
    view = one_view_of("corruption", spec, modality)
    if view.moves_time or view.changes_length:
        raise ValueError(
            f"corruption must leave every value at its step, because what is decoded is compared with it there; "
            f"{view!r} moves steps. Choose noise or a mask, such as 'jitter' or 'continuous_mask'"
        )
    return view
