"""Layers that carry lengths along, the encoder of TS-TCC made of them, and dropout that is cheap."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn

from helpers import gen, seeded
from kinview.encoders import TSTCCEncoder, encoders
from kinview.encoders.dropout import CheapDropout
from kinview.encoders.masked import (
    MaskedBatchNorm1d,
    MaskedConv1d,
    MaskedMaxPool1d,
    MaskedSequential,
    blank,
    inside,
    unless_full,
)

TOLERANCE = 1e-5


def rows(lengths: list[int], channels: int = 3, steps: int = 12) -> tuple[Tensor, Tensor]:
    """Rows whose steps beyond the end hold large numbers that no layer may read."""
    x = torch.randn(len(lengths), channels, steps, generator=gen())
    known = torch.tensor(lengths)
    return blank(x, known, 1e6), known


def gap(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return float((one - other).detach().abs().max()) if one.numel() else 0.0


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    kernel=st.integers(1, 8),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    pool=st.booleans(),
)
def test_a_layer_gives_each_row_what_it_has_alone(
    lengths: list[int], kernel: int, stride: int, dilation: int, pool: bool
) -> None:
    torch.manual_seed(0)
    x, known = rows(lengths, steps=16)
    padding = kernel // 2
    if pool:
        layer: Any = MaskedMaxPool1d(kernel, stride, padding)
        plain: Any = nn.MaxPool1d(kernel, stride, padding)
    else:
        layer = MaskedConv1d(3, 2, kernel, stride=stride, padding=padding, dilation=dilation)
        plain = nn.Conv1d(3, 2, kernel, stride=stride, padding=padding, dilation=dilation)
        plain.load_state_dict(layer.state_dict())
    if not pool and dilation * (kernel - 1) + 1 > 16 + 2 * padding:
        return
    y, left = layer(x, known)
    assert torch.equal(left, layer.out_lengths(known))
    for i, length in enumerate(lengths):
        if length == 0 or length + 2 * padding < (1 if pool else dilation) * (kernel - 1) + 1:
            assert left[i] == 0
            continue
        alone = plain(x[i : i + 1, :, :length])
        assert left[i] == alone.shape[2]
        assert gap(y[i : i + 1, :, : alone.shape[2]], alone) < TOLERANCE


@pytest.mark.parametrize("layer", [MaskedConv1d(3, 4, 8, padding=4, stride=2), MaskedMaxPool1d(2, padding=1)])
def test_without_lengths_a_layer_is_torchs(layer: Any) -> None:
    x = torch.randn(5, 3, 17)
    plain: Any = nn.MaxPool1d(2, 2, 1) if isinstance(layer, MaskedMaxPool1d) else nn.Conv1d(3, 4, 8, 2, 4)
    plain.load_state_dict(layer.state_dict())
    y, lengths = layer(x)
    assert lengths is None and gap(y, plain(x)) < 1e-6


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_normalisation_without_lengths_is_torchs(momentum: float | None) -> None:
    ours, plain = MaskedBatchNorm1d(3, momentum=momentum), nn.BatchNorm1d(3, momentum=momentum)
    for step in range(3):
        x = torch.randn(4, 3, 7, generator=gen(step)) * 3 + 1
        assert gap(ours(x), plain(x)) < 1e-6
    for name, value in plain.state_dict().items():
        assert gap(ours.state_dict()[name].double(), value.double()) < 1e-6, name
    assert gap(ours.eval()(x), plain.eval()(x)) < 1e-6


@pytest.mark.parametrize(("affine", "momentum"), [(True, 0.1), (True, None), (False, 0.1)])
def test_batch_normalisation_runs_over_valid_steps(affine: bool, momentum: float | None) -> None:
    lengths = [12, 5, 1, 0]
    x, known = rows(lengths)
    ours = MaskedBatchNorm1d(3, affine=affine, momentum=momentum).double()
    plain = nn.BatchNorm1d(3, affine=affine, momentum=momentum).double()
    if affine:
        nn.init.normal_(ours.weight)
        nn.init.normal_(ours.bias)
        plain.load_state_dict(ours.state_dict())
    flat = torch.cat([x[i, :, :length] for i, length in enumerate(lengths)], dim=1).T.double()
    mine, theirs = x.double().requires_grad_(), flat.clone().requires_grad_()
    for _ in range(2):
        y, expected = ours(mine, known), plain(theirs)
        valid = torch.cat([y[i, :, :length] for i, length in enumerate(lengths)], dim=1).T
        assert gap(valid, expected) < 1e-9
    for name, value in plain.state_dict().items():
        assert gap(ours.state_dict()[name].double(), value.double()) < 1e-9, name
    torch.autograd.backward([(valid**3).sum(), (expected**3).sum()])
    assert mine.grad is not None and theirs.grad is not None
    got = torch.cat([mine.grad[i, :, :length] for i, length in enumerate(lengths)], dim=1).T
    assert gap(got, theirs.grad) < 1e-8
    assert float(mine.grad[1, :, 5:].abs().max()) == 0.0


@pytest.mark.parametrize("order", [(None, [12, 5]), ([12, 5], None), ([12, 5], [3, 4])])
def test_two_passes_before_one_backward(order: tuple[list[int] | None, ...]) -> None:
    norm, total = MaskedBatchNorm1d(3), torch.zeros(())
    for lengths in order:
        y = norm(torch.randn(2, 3, 12), None if lengths is None else torch.tensor(lengths))
        total = total + y.square().sum()
    total.backward()
    assert norm.weight.grad is not None


def test_batch_normalisation_of_one_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 observed steps in a training batch; got 1"):
        MaskedBatchNorm1d(3)(torch.zeros(2, 3, 5), torch.tensor([1, 0]))
    with pytest.raises(ValueError, match=r"expected features \(n, c, t\)"):
        MaskedBatchNorm1d(3)(torch.zeros(2, 3), None)


def test_statistics_are_float32_under_bfloat16() -> None:
    x, known = rows([12, 5, 7])
    half = MaskedBatchNorm1d(3)
    y = half(x.clamp(max=10).bfloat16(), known)
    assert y.dtype == torch.bfloat16 and half.running_var is not None and half.running_var.dtype == torch.float32
    assert gap(blank(y.float(), known), blank(MaskedBatchNorm1d(3)(x.clamp(max=10), known), known)) < 0.05


def test_what_is_beyond_the_end_gets_no_gradient() -> None:
    net = MaskedSequential(
        MaskedConv1d(3, 4, 8, padding=4), MaskedBatchNorm1d(4), MaskedMaxPool1d(2, padding=1), nn.ReLU()
    )
    x, known = rows([12, 5, 1, 0])
    x.requires_grad_()
    y, left = net(x, known)
    assert bool(torch.isfinite(y).all())
    blank(y, left).square().sum().backward()
    assert x.grad is not None and bool(torch.isfinite(x.grad).all())
    assert float(x.grad.masked_fill(inside(known, 12)[:, None], 0).abs().max()) == 0.0
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_lengths_are_left_out_where_all_rows_fill_the_batch() -> None:
    assert unless_full(torch.tensor([5, 5]), 5) is None
    left = unless_full(torch.tensor([5, 2, 0]), 5)
    assert left is not None and left.tolist() == [5, 2, 0]


# --------------------------------------------------------------------------------------------- the encoder of TS-TCC


def small(**changed: Any) -> TSTCCEncoder:
    return seeded(TSTCCEncoder, **{"channels": 2, "repr_dim": 6, "hidden_dim": 4, **changed}).requires_grad_(False)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [({}, 57), ({"kernel_size": 25, "stride": 3}, 24 + 1 + 3 * (1 + 2 * 7 + 2 + 4 * 7 + 4))],
)
def test_a_feature_sees_its_receptive_field(changed: dict[str, Any], expected: int) -> None:
    encoder = small(**changed, dropout=0.0).eval()
    assert encoder.receptive_field == expected
    for parameter in encoder.parameters():
        nn.init.uniform_(parameter, 0.1, 1.0)  # nothing cancels, every ReLU is open
    x = torch.ones(1, 2, 400)
    z, step = encoder(x), int(encoder(x).shape[2] // 2)
    changing = [
        t
        for t in range(400)
        if not torch.equal(encoder(x.index_fill(2, torch.tensor([t]), 2.0))[0, :, step], z[0, :, step])
    ]
    # a maximum may hide a step behind its neighbour: the field is what can be seen, at both of its ends
    assert changing[-1] - changing[0] + 1 <= expected
    assert changing[-1] - changing[0] + 1 >= expected - 2 * changed.get("stride", 1) * 7


def test_an_untrained_network_does_not_see_the_mask() -> None:
    with_mask, without = small().eval(), small(front_end="values").eval()
    x = torch.randn(3, 2, 40)
    x[0, :, 5:9] = torch.nan
    assert gap(with_mask(x), without(x)) < 1e-6
    weight = with_mask.blocks[0][0].weight
    assert weight.shape == (4, 4, 8) and float(weight[:, 2:].abs().max()) == 0.0
    weight[:, 2:] = 0.5
    assert gap(with_mask(x), without(x)) > 1e-3


@pytest.mark.parametrize("steps", [1, 2, 7, 8, 178])
def test_lengths_of_features_are_those_of_the_output(steps: int) -> None:
    for changed in ({}, {"kernel_size": 25, "stride": 3}, {"kernel_size": 3}):
        encoder = small(**changed).eval()
        assert encoder(torch.zeros(1, 2, steps)).shape[2] == int(encoder.feature_lengths(torch.tensor([steps]))[0])


def test_hidden_steps_are_blank() -> None:
    encoder = small(front_end="values").eval()
    x, hide = torch.randn(2, 2, 30), torch.zeros(2, 30, dtype=torch.bool)
    hide[:, 10:14] = True
    assert gap(encoder(x, hide=hide), encoder(x.masked_fill(hide[:, None], 0.0))) == 0.0


def test_the_registry_builds_it_from_its_config() -> None:
    encoder = encoders.build({"tstcc_cnn": {"repr_dim": 6, "stride": 2}}, channels=3)
    assert encoders.to_config(encoder) == {"tstcc_cnn": {"channels": 3, "repr_dim": 6, "stride": 2}}
    assert encoders["tstcc_cnn"].modality == "time_series"
    # 1 channel and its mask: 512 + 16,384 + 65,536 convolution weights, 448 of the normalisations
    assert "receptive_field=57, parameters=82880" in repr(encoders.build("tstcc_cnn", channels=1))


# ------------------------------------------------------------------------------------------------------- dropout


@pytest.mark.parametrize("p", [0.1, 0.35, 0.9])
def test_dropout_keeps_its_share_and_the_expectation(p: float) -> None:
    torch.manual_seed(0)
    kept = CheapDropout(p)(torch.ones(200_001))
    fraction = float((kept > 0).double().mean())
    assert abs(fraction - (1 - p)) < 5 * (p * (1 - p) / 200_001) ** 0.5 + 2**-15
    assert abs(float(kept.double().mean()) - 1.0) < 6 * (p / (1 - p) / 200_001) ** 0.5
    neighbours = (kept[:-1] > 0) & (kept[1:] > 0)  # flips of one random word
    assert abs(float(neighbours.double().mean()) - (1 - p) ** 2) < 0.01


def test_dropout_is_seeded_and_off_in_eval_mode() -> None:
    layer, x = CheapDropout(0.35), torch.randn(6, 5, 7)

    def draw(seed: int, values: Tensor = x) -> Tensor:
        torch.manual_seed(seed)
        return layer(values)

    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))
    assert torch.equal(CheapDropout(0.0)(x), x) and torch.equal(CheapDropout(0.35).eval()(x), x)
    assert float(CheapDropout(1.0)(x).abs().max()) == 0.0
    strided = x.permute(1, 2, 0)
    assert draw(0, strided).shape == strided.shape and draw(0, x[:, ::2]).shape == x[:, ::2].shape
    y = draw(0, x.requires_grad_())
    y.sum().backward()
    assert torch.equal(x.grad, torch.where(y != 0, y / x, 0.0).round(decimals=4)) or gap(x.grad * x, y) < 1e-6


def test_dropout_of_a_permuted_tensor_drops_independent_places() -> None:
    torch.manual_seed(0)
    x = torch.ones(40, 30, 50).permute(0, 2, 1)  # as channels-last features lie in memory
    kept = CheapDropout(0.5)(x) > 0
    assert abs(float(kept.double().mean()) - 0.5) < 0.01
    for dim in (0, 1, 2):
        assert F.mse_loss(kept.double().mean(dim=dim), torch.full_like(kept.double().mean(dim=dim), 0.5)) < 0.02
