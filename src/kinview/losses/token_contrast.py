"""Tokens of a student find the teacher's token at the same position among those of the same sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from kinview.distributed import global_mean
from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.tensor_checks import (
    check_finite,
    check_precision,
    check_temperature,
    check_tensors,
    full_precision,
    softplus,
    widen,
)

__all__ = ["TokenContrast", "token_contrast"]


def token_contrast(
    student: Float[Tensor, "n tokens d"],
    teacher: Float[Tensor, "n tokens d"],
    temperature: float = 0.01,
    *,
    masked: Bool[Tensor, "n tokens"] | None = None,
    observed: Bool[Tensor, "n tokens"] | None = None,
) -> Float[Tensor, ""]:
    r"""InfoNCE of tokens: the student's token i has to find the teacher's token i among the sample's other tokens.

    .. math:: L = -\frac{1}{|M|} \sum_{(r, i) \in M}
              \log \frac{\exp(\cos(s_{ri}, t_{ri})/\tau)}{\sum_{j \in O_r} \exp(\cos(s_{ri}, t_{rj})/\tau)}

    Parameters
    ----------
    student, teacher : Tensor
        Tokens s and t, ``(n, tokens, d)``; normalised here. Only tokens of the same row are compared.
    temperature : float, default 0.01
        τ (official code of TaCL).
    masked : Tensor, optional
        Tokens ``(n, tokens)`` whose terms count, M; all by default.
    observed : Tensor, optional
        Tokens ``(n, tokens)`` that there are, :math:`O_r` in row r: the others are neither predicted nor negatives. All
        by default.

    Raises
    ------
    ValueError
        If the tokens are not of one shape and one precision or a value is not finite, for a mask of another shape or
        type, and for a temperature that is not positive.

    Notes
    -----
    A token that is the only one of its row has no negative and is left out of the mean; the value is zero, connected to
    the graph, where none is left. The value at chance is the logarithm of the number of tokens of a row. Memory grows
    with n times the largest number of masked tokens of a row times the number of tokens.

    References
    ----------
    .. [1] Su, Liu, Meng, Lan, Shu, Shareghi, Collier: TaCL: Improving BERT Pre-training with Token-aware Contrastive
       Learning, Findings of NAACL 2022, arXiv 2111.04198.

    Examples
    --------
    >>> round(token_contrast(torch.ones(2, 5, 3), torch.ones(2, 5, 3)).item(), 4)  # log 5
    1.6094
    >>> there = torch.tensor([[True, True, False], [True, False, False]])
    >>> round(token_contrast(torch.ones(2, 3, 4), torch.ones(2, 3, 4), observed=there).item(), 4)  # log 2
    0.6931
    """
    check_tensors("token_contrast", student=student, teacher=teacher)
    if student.shape != teacher.shape or student.ndim != 3 or 0 in student.shape:
        raise ValueError(
            f"token_contrast needs student and teacher of one shape (n, tokens, d), none of them 0; student is "
            f"{tuple(student.shape)}, teacher is {tuple(teacher.shape)}"
        )
    check_finite("token_contrast", student=student, teacher=teacher)
    check_precision("token_contrast", student=student, teacher=teacher)
    check_temperature(temperature)
    there = _mask("observed", observed, student)
    counted = _mask("masked", masked, student) & there & (there.sum(dim=1, keepdim=True) > 1)
    with full_precision(student):
        most = int(counted.sum(dim=1).max())
        place = counted.int().argsort(dim=1, descending=True, stable=True)[:, :most, None]  # (n, anchors, 1)
        taken = student.gather(1, place.expand(-1, -1, student.shape[2]))
        anchors, keys = F.normalize(widen(taken), dim=2), F.normalize(widen(teacher), dim=2)
        similarity = anchors @ keys.transpose(1, 2) / temperature
        own = similarity.gather(2, place)[:, :, 0]
        counts = counted.gather(1, place[:, :, 0])
        barred = (~there[:, None, :]).expand_as(similarity).scatter(2, place, True)
        barred = barred & counts[:, :, None]  # a place that only fills up may have no negative, which has no gradient
        negatives = similarity.masked_fill(barred, -torch.inf).logsumexp(dim=2)
        return global_mean(softplus(negatives - own), counts)  # nothing cancels, however well a token is found


@losses.register("token_contrast", modality="any", reference="Su et al., TaCL, Findings of NAACL 2022")
class TokenContrast(Loss):
    """Module form of :func:`token_contrast`."""

    gathers = True

    def __init__(self, temperature: float = 0.01) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(
        self,
        student: Float[Tensor, "n tokens d"],
        teacher: Float[Tensor, "n tokens d"],
        *,
        masked: Bool[Tensor, "n tokens"] | None = None,
        observed: Bool[Tensor, "n tokens"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of tokens ``(n, tokens, d)`` of both networks."""
        return token_contrast(student, teacher, self.temperature, masked=masked, observed=observed)


def _mask(name: str, mask: Tensor | None, tokens: Tensor) -> Tensor:
    if mask is None:
        return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != tokens.shape[:2]:
        given = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"token_contrast needs {name} as a boolean tensor {tuple(tokens.shape[:2])}, one entry a token; it is "
            f"{given}"
        )
    return mask
