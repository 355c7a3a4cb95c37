"""Checks of the flags of a loss: each is proved in both directions."""

from __future__ import annotations

import inspect

import torch

from kinview.losses.base import FLAGS, Loss
from kinview.testing._loss_case import ROWS, Case, close, differs, generator, refuses


def flags_are_frozen(case: Case) -> None:
    """The five flags are declared, and nobody can assign them."""
    assert isinstance(case.loss, Loss), "a loss is a subclass of kinview.losses.base.Loss"
    for flag in FLAGS:
        declared = getattr(type(case.loss), flag)
        assert isinstance(declared, bool), f"{flag} must be declared True or False; got {declared!r}"
        for owner in (case.loss, type(case.loss)):
            try:
                setattr(owner, flag, not declared)
            except AttributeError:
                continue
            raise AssertionError(f"{flag} could be assigned; flags are frozen")


def needs(case: Case, what: str) -> None:
    """Labels or groups: refused to be without, or optional, or unknown."""
    arguments = case.draw()
    accepted = what in inspect.signature(case.loss.forward).parameters
    if getattr(case.loss, f"needs_{what}"):
        assert what in arguments, f"needs_{what} is declared, and the inputs hold no {what}"
        without = {name: value for name, value in arguments.items() if name != what}
        refuses(case, without, what, f"without {what}")
        other = dict(arguments) | {what: arguments[what].roll(1, 0)}
        assert differs(case.value(arguments), case.value(other)), f"needs_{what} is declared, and {what} change nothing"
    elif accepted:
        without = {name: value for name, value in arguments.items() if name != what}
        plain = case.value(without)
        distinct = case.value(without | {what: torch.arange(ROWS)})
        close(distinct, plain, f"{what} that are all different must leave the value")
        assert differs(case.value(without | {what: torch.arange(ROWS) // 2}), plain), (
            f"{what} is an argument that does nothing"
        )


def symmetric(case: Case) -> None:
    """Swapping the views leaves the value, if and only if ``symmetric`` is declared."""
    arguments = case.draw()
    views = case.views or tuple(case.embeddings()[:2])
    if len(views) < 2 or arguments[views[0]].shape != arguments[views[1]].shape:
        assert not case.loss.symmetric, "symmetric is declared, and there are no two views to swap"
        return
    one, other = views
    swapped = case.value(arguments | {one: arguments[other], other: arguments[one]})
    value = case.value(arguments)
    if case.loss.symmetric:
        close(swapped, value, "symmetric is declared: swapping the views must leave the value")
    else:
        assert differs(swapped, value), "swapping the views leaves the value: declare symmetric"


def needs_negatives(case: Case) -> None:
    """Other rows act as negatives, if and only if ``needs_negatives`` is declared."""
    row_by_row, by_moments = _rows_do_not_interact(case), _only_moments_count(case)
    if case.loss.needs_negatives:
        assert not row_by_row, "needs_negatives is declared, yet the gradient of a row does not change with the others"
        assert not by_moments, (
            "needs_negatives is declared, yet rows mixed by a rotation that keeps their moments leave the value"
        )
    else:
        assert row_by_row or by_moments or _only_the_distribution_counts(case), (
            "other rows act as negatives: declare needs_negatives. (The gradient of a row changes with the others, and "
            "the value both under a rotation of the rows that keeps their moments and when the batch is repeated.)"
        )


def _rows_do_not_interact(case: Case) -> bool:
    arguments, other = case.draw(), case.draw(seed=1)
    chosen = case.rows()
    replaced = {k: torch.cat([v[:1], other[k][1:]]) if k in chosen else v for k, v in arguments.items()}
    before, after = case.gradients(arguments)[1], case.gradients(replaced)[1]
    return all(torch.allclose(before[k][0], after[k][0], rtol=1e-9, atol=1e-12) for k in before if k in chosen)


def _only_moments_count(case: Case) -> bool:
    arguments = case.draw()
    basis = torch.cat([torch.ones(ROWS, 1), torch.randn(ROWS, ROWS - 1, generator=generator())], dim=1).double()
    basis = torch.linalg.qr(basis).Q
    turn = torch.linalg.qr(torch.randn(ROWS - 1, ROWS - 1, generator=generator()).double()).Q
    rotation = torch.eye(ROWS, dtype=torch.float64)
    rotation[1:, 1:] = turn
    mix = basis @ rotation @ basis.T
    views = tuple(name for name in case.embeddings() if name in case.rows())
    mixed = case.map_rows(arguments, lambda v: torch.einsum("ij,j...->i...", mix, v), only=views)
    return not differs(case.value(mixed), case.value(arguments))


def _only_the_distribution_counts(case: Case) -> bool:
    arguments = case.draw()
    return not differs(case.value(case.map_rows(arguments, lambda v: torch.cat([v, v]))), case.value(arguments))
