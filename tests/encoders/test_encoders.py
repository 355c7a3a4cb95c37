from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from helpers import NAN, gen, pad, seeded, with_gaps
from kinview.data import valid_lengths
from kinview.encoders import (
    DilatedConvEncoder,
    GapFrontEnd,
    MLPEncoder,
    SeriesEncoder,
    TableFrontEnd,
    dilated_conv,
    encoders,
    pool,
)
from kinview.encoders.mlp import mlp
from kinview.encoders.pooling import multiscale, window_max
from kinview.methods import SimCLR


def encoder(**changed: Any) -> DilatedConvEncoder:
    """A small encoder in evaluation mode whose biases matter as much as its weights."""
    parameters = {"channels": 2, "repr_dim": 6, "hidden_dim": 5, "depth": 3, **changed}
    built: DilatedConvEncoder = seeded(lambda: DilatedConvEncoder(**parameters))
    with torch.no_grad():
        for name, value in built.named_parameters():
            if name.endswith("bias"):
                value.add_(torch.linspace(-0.5, 0.5, value.numel()))
    return built.eval()


def gappy(n: int = 5, channels: int = 2, steps: int = 12) -> Tensor:
    return with_gaps(torch.randn(n, channels, steps, generator=gen(1)))


# --- the encoder's blocks --------------------------------------------------------------------------------------------

View = tuple[Tensor, Tensor, Tensor]


def by_conv1d(network: DilatedConvEncoder, view: View) -> Tensor:
    """The encoder written down with torch's own convolution, one view at a time."""
    features, lengths, observed = view
    inside = (torch.arange(features.shape[2]) < lengths[:, None]).to(features)[:, None, :]
    x = network.input_fc(features.transpose(1, 2)).transpose(1, 2) * observed[:, None, :]
    for block in network.blocks:
        d = block.dilation
        h = F.conv1d(F.gelu(x), block.conv1.weight, block.conv1.bias, padding=d, dilation=d)
        h = F.conv1d(F.gelu(h) * inside, block.conv2.weight, block.conv2.bias, padding=d, dilation=d)
        own = block.projector
        x = (h + (x if own is None else F.conv1d(x, own.weight, own.bias))) * inside
    return x


def some_view(steps: int, full: bool, draw: torch.Generator) -> View:
    features = torch.randn(3, 4, steps, generator=draw, dtype=torch.float64)
    lengths = torch.full((3,), steps) if full else torch.randint(0, steps + 1, (3,), generator=draw)
    observed = (torch.arange(steps) < lengths[:, None]) & (torch.rand(3, steps, generator=draw) < 0.8)
    return features, lengths, observed


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    full=st.booleans(),
    depth=st.integers(0, 3),
    cached=st.booleans(),
    cut=st.booleans(),
    seed=st.integers(0, 99),
)
def test_views_that_go_through_together_are_what_conv1d_makes_of_each(
    steps: list[int], full: bool, depth: int, cached: bool, cut: bool, seed: int
) -> None:
    draw = gen(seed)
    network = encoder(depth=depth).double()
    views = [some_view(length, full or k == 0, draw) for k, length in enumerate(steps)]
    kept = [slice(length // 3, length - length // 4) if cut else slice(0, length) for length in steps]
    values, gradients, inputs = [], [], [view[0].requires_grad_() for view in views]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dilated_conv, "_CACHED", 2**19 if cached else 0)
        for together in (True, False):
            if together:
                found = network.encode_together(views, kept)
            else:
                found = [by_conv1d(network, view)[:, :, part] for view, part in zip(views, kept, strict=True)]
            values.append([one.detach() for one in found])
            weighted = sum((one * torch.cos(torch.arange(one.numel()).view(one.shape))).sum() for one in found)
            assert isinstance(weighted, Tensor)
            gradients.append(torch.autograd.grad(weighted, [*inputs, *network.blocks.parameters()]))
    for ours, theirs in zip(values[0] + list(gradients[0]), values[1] + list(gradients[1]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_a_block_leaves_its_input_alone_and_its_taps_are_matrices_in_memory() -> None:
    network = encoder(depth=1)
    x = torch.randn(12, 5, generator=gen())
    before = x.clone()
    network.blocks[0](x, [(4, 3)], None)
    assert torch.equal(x, before)
    restored = encoder(depth=1)
    restored.load_state_dict(copy.deepcopy(network).state_dict())
    for one in (network, restored, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert all(one.get_parameter(f"blocks.0.{name}.weight")[:, :, 1].is_contiguous() for name in ("conv1", "conv2"))


# --- the encoder -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_receptive_field_is_what_an_output_step_sees(depth: int) -> None:
    network = encoder(channels=1, depth=depth).double()
    assert network.receptive_field == 1 + 4 * (2 ** (depth + 1) - 1)
    reach = network.receptive_field // 2
    steps = 2 * reach + 11
    centre = steps // 2
    x = torch.randn(1, 1, steps, generator=gen(), dtype=torch.float64)
    before = network(x)[0, :, centre]
    seen = []
    for step in range(steps):
        moved = x.clone()
        moved[0, 0, step] += 3.0
        if not torch.equal(network(moved)[0, :, centre], before):
            seen.append(step)
    assert seen == list(range(centre - reach, centre + reach + 1))


def test_times_keep_a_trailing_gap() -> None:
    network = encoder()
    x = gappy()
    kept = torch.arange(x.shape[2], dtype=torch.float64).expand(len(x), -1)
    as_end, as_gap = network(x), network(x, times=kept)
    assert (as_end[2, :, 7:] == 0).all()
    assert (as_gap[2, :, 7:] != 0).all()
    assert (as_gap[3] != 0).any()
    complete = torch.tensor([0, 1, 4])  # what ends with an observation is the same either way
    torch.testing.assert_close(as_end[complete], as_gap[complete], rtol=0, atol=1e-6)
    torch.testing.assert_close(network(pad(x[2:3, :, :7], 5), times=kept[:1]), as_gap[2:3], rtol=0, atol=1e-6)


def test_hide_blanks_steps_after_the_input_layer() -> None:
    network = encoder(missing="channel", front_end="values", fill="zero", padding="official")
    x = torch.randn(2, 2, 9, generator=gen())
    hide = torch.zeros(2, 9, dtype=torch.bool)
    hide[0, 2:5] = True
    hidden = network(x, hide=hide)
    other = x.clone()
    other[0, :, 2:5] = 99.0
    torch.testing.assert_close(network(other, hide=hide), hidden, rtol=0, atol=0)  # hidden values are not seen
    gone = x.clone()
    gone[0, :, 2:5] = NAN
    torch.testing.assert_close(network(gone), hidden, rtol=0, atol=1e-6)  # with zeros there they look missing
    torch.testing.assert_close(network(x)[1], hidden[1], rtol=0, atol=1e-6)
    assert not torch.allclose(network(x)[0], hidden[0])
    torch.testing.assert_close(network(x, hide=torch.zeros_like(hide)), network(x), rtol=0, atol=0)
    # everything hidden: what is left is what the biases make of zeros, the same for every input
    nothing = network(x, hide=torch.ones_like(hide))
    torch.testing.assert_close(nothing[0], nothing[1], rtol=0, atol=1e-6)


def test_the_encoder_follows_the_formula() -> None:
    network = encoder(channels=1, depth=2, front_end="values")
    x = torch.randn(3, 1, 10, generator=gen())
    h = network.input_fc(x.transpose(1, 2)).transpose(1, 2)
    for i, block in enumerate(network.blocks):
        residual = h if block.projector is None else block.projector(h)
        inner = F.conv1d(F.gelu(h), block.conv1.weight, block.conv1.bias, padding=2**i, dilation=2**i)
        h = F.conv1d(F.gelu(inner), block.conv2.weight, block.conv2.bias, padding=2**i, dilation=2**i) + residual
    assert [block.projector is None for block in network.blocks] == [True, True, False]
    torch.testing.assert_close(network(x), h, rtol=0, atol=1e-5)


def test_dropout_works_in_training_only() -> None:
    network = encoder(dropout=0.5)
    x = torch.randn(2, 2, 9, generator=gen())
    assert torch.equal(network(x), network(x))
    trained = seeded(lambda: network.train()(x))
    assert 0.2 < (trained == 0).float().mean() < 0.8


def test_bfloat16_autocast_stays_close_to_float32() -> None:
    network = encoder()
    x = gappy()
    plain = network(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = network(x)
    assert torch.isfinite(low).all()
    assert (low[3] == 0).all()
    assert (low.float() - plain).abs().max() < 0.05 * plain.abs().max()
    assert not torch.equal(low.float(), plain)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"repr_dim": 0}, "repr_dim must be at least 1; got 0"),
        ({"hidden_dim": 2.5}, r"hidden_dim must be a whole number; got 2\.5"),
        ({"depth": -1}, "depth must be at least 0; got -1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1\.0"),
        ({"padding": "same"}, "padding must be 'masked' or 'official'; got 'same'"),
        ({"front_end": "mask"}, r"front_end must be one of values, values\+mask, values\+mask\+delta; got 'mask'"),
        ({"missing": "cell"}, "missing must be 'channel' or 'timestep'; got 'cell'"),
    ],
)
def test_encoder_parameters_are_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(**changed)


# --- what is observed ------------------------------------------------------------------------------------------------


def test_valid_lengths() -> None:
    x = gappy()
    assert valid_lengths(x).tolist() == [12, 12, 7, 0, 12]
    assert valid_lengths(pad(x, 5)).tolist() == [12, 12, 7, 0, 12]
    times = torch.full((5, 12), NAN, dtype=torch.float64)
    times[2, :9] = 1.0
    times[3, 4] = 0.0
    assert valid_lengths(x, times).tolist() == [12, 12, 9, 5, 12]
    assert valid_lengths(torch.zeros(2, 1, 0)).tolist() == [0, 0]
    one_channel = torch.tensor([[[1.0, NAN, NAN], [NAN, 2.0, NAN]]])
    assert valid_lengths(one_channel).tolist() == [2]


def test_the_front_end_shows_values_and_what_was_observed() -> None:
    x = torch.tensor([[[1.0, NAN, 3.0, NAN], [NAN, NAN, 4.0, 5.0]]])
    features, observed = GapFrontEnd(2, "values", "channel")(x)
    assert features.tolist() == [[[1.0, 0.0, 3.0, 0.0], [0.0, 0.0, 4.0, 5.0]]]
    assert observed.tolist() == [[True, False, True, True]]
    features, observed = GapFrontEnd(2, "values+mask", "channel")(x)
    assert features[:, 2:].tolist() == [[[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]]
    features, observed = GapFrontEnd(2, "values+mask", "timestep")(x)
    assert features.tolist() == [
        [[0.0, 0.0, 3.0, 0.0], [0.0, 0.0, 4.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    ]
    assert observed.tolist() == [[False, False, True, False]]


def test_both_missing_rules_agree_on_one_channel() -> None:
    x = gappy(channels=1)
    for mode in ("values", "values+mask", "values+mask+delta"):
        by_channel, by_step = GapFrontEnd(1, mode, "channel")(x), GapFrontEnd(1, mode, "timestep")(x)
        assert torch.equal(by_channel[0], by_step[0])
        assert torch.equal(by_channel[1], by_step[1])


def test_delta_counts_positions_without_times() -> None:
    x = torch.tensor([[[NAN, NAN, 1.0, NAN, NAN, 2.0, 3.0]]])
    features, _ = GapFrontEnd(1, "values+mask+delta", "channel")(x)
    since = [0.0, 1.0, 2.0, 1.0, 2.0, 3.0, 1.0]  # from the series' start, then from the last observation before
    torch.testing.assert_close(features[0, 2], torch.tensor(since).log1p())


@pytest.mark.parametrize("start", [0.0, -7.0, 1.7e9])
def test_delta_follows_irregular_times_from_any_origin(start: float) -> None:
    x = torch.tensor([[[1.0, NAN, 3.0, NAN], [NAN, NAN, NAN, 2.0]]])
    times = torch.tensor([[0.0, 0.25, 4.0, 10.0]], dtype=torch.float64) + start
    front = GapFrontEnd(2, "values+mask+delta", "channel")
    since = torch.tensor([[0.0, 0.25, 4.0, 6.0], [0.0, 0.25, 4.0, 10.0]])
    torch.testing.assert_close(front(x, times)[0][0, 4:], since.log1p(), rtol=1e-6, atol=1e-6)
    front.set_step(times)
    assert front.step.item() == 3.75  # the median of 0.25, 3.75 and 6
    torch.testing.assert_close(front(x, times)[0][0, 4:], (since / 3.75).log1p(), rtol=1e-6, atol=1e-6)


def test_the_unit_of_time_does_not_matter_once_the_step_is_learned() -> None:
    x = gappy(channels=1)
    hours = torch.rand(5, 12, generator=gen(3), dtype=torch.float64).cumsum(dim=1)
    features = []
    for times in (hours, hours * 3600.0):
        front = GapFrontEnd(1, "values+mask+delta", "channel")
        front.set_step(times)
        features.append(front(x, times)[0])
    torch.testing.assert_close(features[0], features[1], rtol=0, atol=1e-6)


def test_set_step_ignores_what_is_no_interval() -> None:
    front = GapFrontEnd(1, "values+mask+delta", "channel")
    for times in (None, torch.tensor([[1.0]]), torch.full((2, 4), NAN), torch.ones(2, 4)):
        front.set_step(times)
        assert front.step.item() == 1.0
    front.set_step(torch.tensor([[0.0, 2.0, 4.0, NAN], [5.0, 5.0, 7.0, NAN]]))
    assert front.step.item() == 2.0
    assert list(front.state_dict()) == ["step"]  # learned, so it is saved
    assert not GapFrontEnd(1, "values", "channel").state_dict()


# --- pooling ---------------------------------------------------------------------------------------------------------


def slow_pool(z: Tensor, inside: Tensor, how: str) -> Tensor:
    out = torch.zeros(z.shape[0], z.shape[1], dtype=z.dtype)
    for row in range(z.shape[0]):
        steps = [step for step in range(z.shape[2]) if inside[row, step]]
        for channel in range(z.shape[1]):
            taken = [z[row, channel, step].item() for step in steps]
            if taken:
                out[row, channel] = {"max": max(taken), "mean": math.fsum(taken) / len(taken), "last": taken[-1]}[how]
    return out


@settings(deadline=None, max_examples=40)
@given(steps=st.integers(1, 9), seed=st.integers(0, 99), how=st.sampled_from(["max", "mean", "last"]))
def test_pool_equals_a_slow_loop(steps: int, seed: int, how: Any) -> None:
    z = torch.randn(3, 2, steps, generator=gen(seed), dtype=torch.float64) - 3.0
    inside = torch.rand(3, steps, generator=gen(seed + 1)) < 0.5
    inside[1] = False
    torch.testing.assert_close(pool(z, inside, how), slow_pool(z, inside, how))
    torch.testing.assert_close(pool(z, None, how), slow_pool(z, torch.ones_like(inside), how))


def test_pool_gives_no_gradient_to_what_takes_no_part() -> None:
    inside = torch.tensor([[True, False, True], [False, False, False]])
    for how in ("max", "mean", "last"):
        z = torch.randn(2, 2, 3, generator=gen(), requires_grad=True)
        pool(z, inside, how).sum().backward()
        assert z.grad is not None
        assert torch.isfinite(z.grad).all()
        assert (z.grad.transpose(1, 2)[~inside] == 0).all()


def test_pool_names_what_it_knows() -> None:
    with pytest.raises(ValueError, match="pooling must be one of max, mean, last; got 'median'"):
        pool(torch.zeros(1, 1, 1), None, "median")  # type: ignore[arg-type]


def slow_window_max(z: Tensor, width: int, inside: Tensor) -> Tensor:
    out = torch.zeros_like(z)
    for row in range(z.shape[0]):
        for step in range(z.shape[2]):
            first = step - width // 2
            reach = [s for s in range(first, first + width) if 0 <= s < z.shape[2] and inside[row, s]]
            if inside[row, step]:
                out[row, :, step] = z[row][:, reach].max(dim=1).values
    return out


@settings(deadline=None, max_examples=40)
@given(steps=st.integers(1, 9), width=st.integers(1, 12), seed=st.integers(0, 99))
def test_window_max_equals_a_slow_loop(steps: int, width: int, seed: int) -> None:
    z = torch.randn(3, 2, steps, generator=gen(seed)) - 3.0
    inside = torch.rand(3, steps, generator=gen(seed + 1)) < 0.7
    inside[1] = False
    torch.testing.assert_close(window_max(z, width, inside), slow_window_max(z, width, inside))
    torch.testing.assert_close(window_max(z, width), slow_window_max(z, width, torch.ones_like(inside)))


@pytest.mark.parametrize("steps", [3, 4, 5, 6, 9, 10, 17])
def test_multiscale_is_window_maxima_side_by_side(steps: int) -> None:
    z = torch.randn(3, 2, steps, generator=gen())
    inside = torch.rand(3, steps, generator=gen(1)) < 0.7
    # the official code counts p = 0, 1, ... while 2^p + 1 < T, with windows of 2^(p + 1) + 1
    widths = [2 ** (p + 1) + 1 for p in range(10) if 2**p + 1 < steps]
    torch.testing.assert_close(multiscale(z, inside), torch.cat([slow_window_max(z, w, inside) for w in widths], dim=1))


def test_multiscale_of_too_short_a_series_says_so() -> None:
    with pytest.raises(ValueError, match="needs series of at least 3 steps; these have 2"):
        multiscale(torch.zeros(1, 1, 2))


# --- tables ----------------------------------------------------------------------------------------------------------


def test_the_table_front_end_spells_out_cells() -> None:
    front = TableFrontEnd([0, 4, 0, 1])
    x = torch.tensor([[1.5, 2.0, -1.0, 0.0], [NAN, NAN, NAN, NAN], [0.0, 0.0, 2.0, 0.0], [3.0, 3.0, 0.0, 0.0]])
    assert front.out_features == 2 + 3 + 1 + 4
    assert front(x).tolist() == [
        # numbers   one-hot of codes 1..3   no category known   missing?
        [1.5, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
        [0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
    assert not front.state_dict()  # what the columns are comes from the parameters, not from a file


@settings(deadline=None, max_examples=40)
@given(cardinalities=st.lists(st.integers(0, 5), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_the_table_front_end_is_as_wide_as_it_says(cardinalities: list[int], seed: int) -> None:
    front = TableFrontEnd(cardinalities)
    sizes = torch.tensor(cardinalities)
    x = torch.floor(torch.rand(7, len(sizes), generator=gen(seed)) * sizes.clamp_min(1))
    x[torch.rand(x.shape, generator=gen(seed + 1)) < 0.3] = NAN
    features = front(x)
    assert features.shape == (7, front.out_features)
    assert torch.isfinite(features).all()
    assert torch.equal(features[:, -len(sizes) :] == 1, torch.isnan(x))


def test_mlp_has_the_papers_layers() -> None:
    kinds = [type(layer).__name__ for layer in MLPEncoder([0] * 5).layers]
    assert kinds == ["Linear", "ReLU"] * 4
    widths = [tuple(value.shape) for name, value in MLPEncoder([0] * 5).named_parameters() if name.endswith("weight")]
    assert widths == [(256, 10), (256, 256), (256, 256), (256, 256)]
    assert [type(layer).__name__ for layer in mlp(3, 4, 2, last_activation=False)] == ["Linear", "ReLU", "Linear"]


@pytest.mark.parametrize(("name", "value"), [("hidden_dim", 0), ("depth", 0), ("depth", 1.5)])
def test_mlp_parameters_are_checked(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be (at least 1|a whole number); got {value}"):
        MLPEncoder([0], **{name: value})


# ------------------------------------------------------------------------------------------------ what encoders share


class Echo(SeriesEncoder):
    """Gives what it is given, and remembers the rest."""

    def __init__(self, channels: int, front_end: Any = None, missing: Any = "channel", scale: float = 1.0) -> None:
        super().__init__({"channels": channels}, front_end=front_end, missing=missing, scale=scale)

    def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
        self.seen = lengths.tolist(), observed.tolist()
        return features


def test_an_encoder_is_given_features_lengths_and_what_was_observed() -> None:
    x = torch.tensor([[[1.0, NAN, 3.0, 4.0, NAN]]])
    hide = torch.tensor([[False, False, True, False, False]])
    with_mask = Echo(1, front_end="values+mask")
    assert with_mask(x).tolist() == [[[1.0, 0.0, 3.0, 4.0, 0.0], [1.0, 0.0, 1.0, 1.0, 0.0]]]
    assert with_mask.seen == ([4], [[True, False, True, True, False]])
    assert with_mask(x, hide=hide).tolist() == [[[1.0, 0.0, 0.0, 4.0, 0.0], [1.0, 0.0, 0.0, 1.0, 0.0]]]
    assert with_mask.seen == ([4], [[True, False, False, True, False]])
    with_mask(x, times=torch.arange(5.0)[None])
    assert with_mask.seen[0] == [5], "a time stamp keeps an unobserved last step"


def test_an_encoder_without_a_front_end_is_given_the_series_with_hidden_steps_as_gaps() -> None:
    x = torch.tensor([[[1.0, NAN, 3.0, 4.0]]])
    plain = Echo(1)
    torch.testing.assert_close(plain(x), x, equal_nan=True)
    hidden = plain(x, hide=torch.tensor([[True, False, False, True]]))
    torch.testing.assert_close(hidden, torch.tensor([[[NAN, NAN, 3.0, NAN]]]), equal_nan=True)
    assert plain.seen == ([3], [[False, False, True, False]]), "a series ends with its last step that is not hidden"


def test_an_encoder_keeps_its_parameters_and_refuses_a_wrong_size() -> None:
    assert Echo(2, scale=0.5).config == {"channels": 2, "scale": 0.5}
    whole = {"channels": 2, "scale": 1.0, "front_end": "values", "missing": "timestep"}
    assert Echo(2, front_end="values", missing="timestep").config == whole
    for channels, message in ((0, "channels must be at least 1; got 0"), (True, "channels must be a whole number")):
        with pytest.raises(ValueError, match=message):
            Echo(channels)
    with pytest.raises(TypeError, match="abstract"):
        SeriesEncoder({"channels": 1})  # type: ignore[abstract]


class Moments(nn.Module):
    """An encoder that derives from no base class."""

    row_independent = padding_independent = True

    def __init__(self, channels: int, repr_dim: int = 3) -> None:
        super().__init__()
        self.config = {"channels": channels, "repr_dim": repr_dim}
        self.repr_dim = repr_dim
        self.layer = nn.Linear(channels, repr_dim)

    def forward(self, x: Tensor, *, times: Tensor | None = None, hide: Tensor | None = None) -> Tensor:
        mean: Tensor = self.layer(x.nan_to_num().mean(dim=2))
        return mean


def test_an_encoder_may_be_any_module(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "moments" not in encoders
    monkeypatch.setattr(encoders, "_entries", dict(encoders._entries))
    encoders.register("moments", modality="time_series")(Moments)
    X = torch.randn(8, 2, 20, generator=gen()).numpy()
    model = SimCLR(encoder={"moments": {"repr_dim": 5}}, trainer={"max_steps": 2}, random_state=0).fit(X)
    assert model.transform(X).shape == (8, 5)
