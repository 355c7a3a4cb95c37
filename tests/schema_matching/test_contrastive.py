"""The contrastive matcher: its masks, its negatives, its signatures, its seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from helpers import draw, gen, seeded
from kinview import match_columns
from kinview.losses import nt_xent
from kinview.schema_matching import ContrastiveMatcher
from kinview.schema_matching.contrastive_columns import ContrastiveColumns, signatures, sizes_of, unpaired
from kinview.training.method import PairSizes

SMALL = ContrastiveMatcher(hidden_dim=8, dim=4, mask_rate=0.5, models=1, trainer={"max_steps": 3})


def rows(n: int, columns: int, seed: int = 0) -> Tensor:
    return draw(n, columns, seed=seed, dtype=torch.float32)


def method_and_batch(
    parameters: ContrastiveMatcher = SMALL, n: int = 12, m: int = 9
) -> tuple[ContrastiveColumns, object]:
    batch = unpaired(rows(n, 5), rows(m, 6, 1))
    return seeded(ContrastiveColumns, parameters, sizes_of(batch), 2), batch


def test_sizes_are_those_of_both_tables() -> None:
    _, batch = method_and_batch()
    sizes = sizes_of(batch)
    assert isinstance(sizes, PairSizes)
    assert (sizes.first.rows, sizes.second.rows) == (12, 9)
    assert (len(sizes.first.cardinalities), len(sizes.second.cardinalities)) == (5, 6)


def test_both_copies_are_masked_from_the_rows_themselves_and_apart() -> None:
    method, batch = method_and_batch(n=4000, m=4000)
    first, second = method.views(batch, gen(), 0.0)
    for one, other in ((first, second), (first.extra["B"], second.extra["B"])):
        hidden, again = one.x == 0, other.x == 0
        assert hidden.float().mean().item() == pytest.approx(0.5, abs=0.02)
        assert again.float().mean().item() == pytest.approx(0.5, abs=0.02)  # not 0.75, as where it adds to the first
        assert (hidden & again).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert not (first.x == 0).equal(first.extra["B"].x[:, :5] == 0)
    missing = ContrastiveMatcher(mask="missing", mask_rate=0.5)
    assert method_and_batch(missing)[0].views(batch, gen(), 0.0)[0].x.isnan().any()


def test_the_loss_is_three_contrasts_of_each_table_and_no_row_has_its_copy_as_a_negative() -> None:
    method, batch = method_and_batch()
    views = method.views(batch, gen(), 0.0)
    expected = torch.zeros(())
    for table, copies in (("A", views), ("B", [view.extra["B"] for view in views])):
        n = {"A": 12, "B": 9}[table]  # B's rows 9, 10, 11 are its first three again, and count once
        known = [method.embeddings["known"](copy.x[:n, :2]) for copy in copies]
        unknown = [method.embeddings[table](copy.x[:n, 2:]) for copy in copies]
        for k, u in zip(known, unknown):
            cosines = F.cosine_similarity(k[:, None], u[None], dim=2) / SMALL.temperature
            target = torch.arange(n)  # n candidates, not 2n
            expected += (F.cross_entropy(cosines, target) + F.cross_entropy(cosines.T, target)) / 2
        expected += nt_xent(*known, SMALL.temperature) + nt_xent(*unknown, SMALL.temperature)
    assert method.loss(views).loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_table_with_one_row_in_a_batch_has_nothing_to_contrast() -> None:
    method, _ = method_and_batch()
    batch = unpaired(rows(6, 5), rows(1, 6))
    result = method.loss(method.views(batch, gen(), 0.0))
    assert result.logs["loss_B"] == 0 and result.logs["loss_A"] > 0
    result.loss.backward()


def test_the_known_encoder_is_shared_and_the_others_are_their_own() -> None:
    method, batch = method_and_batch()
    assert set(method.embeddings) == {"known", "A", "B"}
    method.loss(method.views(batch, gen(), 0.0)).loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())
    assert torch.equal(method.embed(batch), method.embeddings["known"](batch.x[:, :2]))


def test_signatures_are_mean_derivatives_over_observed_cells() -> None:
    method, _ = method_and_batch()
    x = rows(7, 4, 3)
    x[0, 1] = x[3, 1] = torch.nan
    x[:, 2] = torch.nan
    found = signatures(method, "B", x)
    jacobian = torch.zeros(4, 4)
    for row in x:  # one by one
        jacobian += torch.autograd.functional.jacobian(
            lambda one: method.embed_unknown("B", one[None])[0], row
        ).T  # (columns, d)
    expected = F.normalize(jacobian / torch.tensor([7, 5, 1, 7])[:, None], dim=1)
    np.testing.assert_allclose(found, expected.detach(), atol=1e-6)
    assert (found[2] == 0).all() and np.abs(found[1]).max() > 0


def test_the_seed_decides_and_the_global_generators_are_left_alone() -> None:
    A, B = pd.DataFrame(rows(40, 5)).add_prefix("a"), pd.DataFrame(rows(30, 5, 1)).add_prefix("b")
    before = torch.get_rng_state()
    one, again, other = (
        match_columns(A, B, {"a0": "b0", "a1": "b1"}, matcher=SMALL, random_state=seed).similarity for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    pd.testing.assert_frame_equal(one, again)
    assert not np.allclose(one, other)


def test_a_trainer_of_ones_own_is_taken() -> None:
    A = pd.DataFrame(rows(40, 4)).add_prefix("a")
    seen: list[int] = []

    from kinview.training.callbacks import Callback

    class Count(Callback):
        def on_step_end(self, state: object, method: object) -> None:
            seen.append(1)

    matcher = ContrastiveMatcher(models=2, trainer={"max_steps": 4, "callbacks": [Count()]})
    match_columns(A, A.copy(), ["a0"], matcher=matcher)
    assert len(seen) == 8
