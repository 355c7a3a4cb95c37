"""The contrast of tokens: slow transcription, closed forms, tokens that are not there, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from helpers import NAN, draw, gen
from kinview.losses import info_nce, losses, token_contrast

T = 0.3


def masks(n: int = 4, tokens: int = 6) -> tuple[Tensor, Tensor]:
    masked = torch.rand(n, tokens, generator=gen(5)) < 0.5
    observed = torch.rand(n, tokens, generator=gen(6)) < 0.7
    masked[0], observed[0] = True, True
    return masked, observed


def slowly(student: Tensor, teacher: Tensor, temperature: float, masked: Tensor, observed: Tensor) -> Tensor:
    terms = []
    for r in range(len(student)):
        present = [j for j in range(student.shape[1]) if observed[r, j]]
        for i in present:
            if not masked[r, i] or len(present) < 2:
                continue
            logits = []
            for j in present:
                a, b = student[r, i], teacher[r, j]
                logits.append((a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt()) / temperature)
            total = torch.stack([logit.exp() for logit in logits]).sum()
            terms.append(-(logits[present.index(i)].exp() / total).log())
    return torch.stack(terms).mean()


def test_value_and_gradients_are_those_of_the_formula() -> None:
    masked, observed = masks()
    views = [draw(4, 6, 3, seed=seed).requires_grad_() for seed in (1, 2)]
    value = token_contrast(*views, T, masked=masked, observed=observed)
    expected = slowly(*views, T, masked, observed)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)
    for one, other in zip(torch.autograd.grad(value, views), torch.autograd.grad(expected, views), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_single_row_is_info_nce_among_its_tokens() -> None:
    student, teacher = draw(1, 7, 4, seed=1), draw(1, 7, 4, seed=2)
    torch.testing.assert_close(token_contrast(student, teacher, T), info_nce(student[0], teacher[0], T))


def test_chance_and_the_end() -> None:
    alike = torch.ones(3, 8, 2, dtype=torch.float64)
    assert token_contrast(alike, alike).item() == pytest.approx(math.log(8))
    found = torch.eye(5, dtype=torch.float64).expand(2, 5, 5)
    assert token_contrast(found, found).item() == pytest.approx(4 * math.exp(-100), rel=1e-6)


def test_other_rows_are_no_negatives() -> None:
    student, teacher = draw(3, 5, 4, seed=1), draw(3, 5, 4, seed=2)
    alone = torch.stack([token_contrast(student[[r]], teacher[[r]], T) for r in range(3)])
    torch.testing.assert_close(token_contrast(student, teacher, T), alone.mean())


def test_what_is_not_there_is_no_negative() -> None:
    student, teacher = draw(2, 5, 4, seed=1), draw(2, 5, 4, seed=2)
    expected = token_contrast(student, teacher, T)
    more = [torch.cat([tokens, draw(2, 3, 4, seed=9)], dim=1) for tokens in (student, teacher)]
    there = torch.arange(8).expand(2, 8) < 5
    torch.testing.assert_close(token_contrast(*more, T, observed=there), expected)
    assert token_contrast(*more, T, masked=there) > expected  # with padding as negatives, as in the official code


def test_nothing_to_contrast_is_zero_with_a_zero_gradient() -> None:
    student, teacher = draw(2, 3, 4, seed=1).requires_grad_(), draw(2, 3, 4, seed=2)
    one, none = torch.tensor([[True, False, False]] * 2), torch.zeros(2, 3, dtype=torch.bool)
    for given in ({"observed": one}, {"observed": none}, {"masked": none}, {"masked": ~one, "observed": one}):
        value = token_contrast(student, teacher, **given)
        (gradient,) = torch.autograd.grad(value, [student])
        assert value.item() == 0
        assert not bool(gradient.any())
    mixed = torch.tensor([[True, False, False], [True, True, True]])
    value = token_contrast(student, teacher, T, observed=mixed)
    torch.testing.assert_close(value, token_contrast(student[1:], teacher[1:], T))
    assert bool(torch.isfinite(torch.autograd.grad(value, [student])[0]).all())


def test_wrong_arguments_are_refused() -> None:
    x = torch.zeros(2, 3, 4)
    with pytest.raises(ValueError, match=r"one shape \(n, tokens, d\).*student is \(2, 3, 4\), teacher is \(2, 3, 5\)"):
        token_contrast(x, torch.zeros(2, 3, 5))
    with pytest.raises(ValueError, match=r"student is \(3, 4\)"):
        token_contrast(x[0], x[0])
    with pytest.raises(ValueError, match=r"masked as a boolean tensor \(2, 3\).*; it is torch.float32 \(2, 3\)"):
        token_contrast(x, x, masked=torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"observed as a boolean tensor \(2, 3\).*; it is torch.bool \(2,\)"):
        token_contrast(x, x, observed=torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match="teacher"):
        token_contrast(x, torch.full((2, 3, 4), NAN))
    with pytest.raises(ValueError, match="temperature must be"):
        losses.build({"token_contrast": {"temperature": 0.0}})
