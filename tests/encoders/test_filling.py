"""What stands in a gap: one choice of every encoder of series, learned at fit where there is something to learn."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import kinview
from helpers import NAN, gen, seeded
from kinview import TFC, TSTCC, SimCLR, TS2Vec
from kinview.data import Batch, Completion, bridge
from kinview.encoders import Filling, GapFrontEnd, SeriesEncoder, encoders
from kinview.encoders.front_end import DEFAULT_FILL
from kinview.encoders.pooling import pooled
from kinview.methods import JointEmbedding, RandomInit
from kinview.methods.ts2vec.preprocessing import centred
from kinview.testing import check_method

FILLS = ["zero", "hold", "linear", "completion", "completion+channels"]
SMALL: dict[str, dict[str, Any]] = {
    "dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 2},
    "fcn": {"widths": [4, 4], "kernel_sizes": [3, 3]},
    "frequency": {"encoder": {"resnet1d": {"widths": [4], "kernel_sizes": [3]}}, "bins": 8},
    "patch_transformer": {"repr_dim": 4, "heads": 2, "depth": 1, "patch_length": 4, "stride": 2},
    "resnet1d": {"widths": [4, 4], "kernel_sizes": [3, 3]},
    "tfc_transformer": {"length": 16},
    "tstcc_cnn": {"repr_dim": 4, "hidden_dim": 4},
}
BRIEF = {"trainer": {"max_steps": 2}, "random_state": 0}
every_encoder = pytest.mark.parametrize("name", sorted(SMALL))


def waves(n: int = 40, channels: int = 2, steps: int = 16, seed: int = 0) -> Tensor:
    size = 1 + 0.3 * torch.randn(n, 1, 1, generator=gen(seed))
    shape = 2 * torch.sin(torch.arange(steps) * 1.3) + torch.arange(channels)[:, None]
    return size * shape + 0.2 * torch.randn(n, channels, steps, generator=gen(seed + 1))


def gappy(x: Tensor, rate: float = 0.4, seed: int = 2) -> Tensor:
    """Gaps of which none is at the end."""
    gone = torch.rand(x.shape, generator=gen(seed)) < rate
    gone[:, :, -1] = False
    return x.masked_fill(gone, NAN)


def built(name: str, **changed: Any) -> SeriesEncoder:
    encoder: SeriesEncoder = seeded(lambda: encoders.build({name: {**SMALL[name], **changed}}, channels=2)).eval()
    return encoder


def learned(encoder: SeriesEncoder, x: Tensor) -> Tensor:
    """Let an encoder learn what fills gaps, and fill those of x."""
    assert encoder.gaps is not None
    encoder.gaps.make_room(x.shape[2])
    encoder.gaps.learn(x)
    return Filling.forward(encoder.gaps, x)


# --- encoders --------------------------------------------------------------------------------------------------------


def test_every_encoder_of_series_has_the_choice() -> None:
    series = {name for name in encoders if encoders[name].modality == "time_series"}
    assert set(SMALL) == series - {"channel_independent", "fused_crops"}  # the encoder inside has it


@every_encoder
@pytest.mark.parametrize("fill", FILLS)
def test_a_gap_is_read_as_what_fills_it(name: str, fill: Any) -> None:
    encoder, x = built(name, fill=fill), gappy(waves())
    whole = learned(encoder, x)
    if fill.startswith("completion"):
        assert encoder.gaps is not None and encoder.gaps.completion.completed.all()
    else:
        assert torch.equal(whole, bridge(x, how=fill))
    assert encoder.config["fill"] == fill
    if name in ("frequency", "tfc_transformer"):
        torch.testing.assert_close(encoder(x), encoder(whole))
        return
    bare = built(name, fill=fill, front_end="values")
    learned(bare, x)
    if name == "dilated_conv" and fill == "zero":  # which blanks what was not observed after its projection too
        return
    torch.testing.assert_close(bare(x), bare(whole))


@every_encoder
def test_the_default_is_the_one_that_was_chosen(name: str) -> None:
    x = gappy(waves())
    default = "linear" if name in ("frequency", "tfc_transformer") else DEFAULT_FILL
    assert torch.equal(built(name)(x), built(name, fill=default)(x))
    assert not torch.equal(built(name)(x), built(name, fill="hold")(x))


@every_encoder
@pytest.mark.parametrize("fill", ["hold", "linear", "completion"])
def test_a_filled_row_depends_neither_on_the_other_rows_nor_on_padding(name: str, fill: Any) -> None:
    encoder, x = built(name, fill=fill), gappy(waves(8))
    learned(encoder, gappy(waves()))
    x[0, :, 9:], x[1] = NAN, NAN
    z = pooled(encoder, x, how="mean")
    assert torch.isfinite(z).all() and not z[1].any()
    torch.testing.assert_close(pooled(encoder, F.pad(x, (0, 7), value=NAN), how="mean"), z, rtol=0, atol=1e-5)
    if encoder.row_independent:
        for row in range(8):
            torch.testing.assert_close(pooled(encoder, x[[row]], how="mean")[0], z[row], rtol=0, atol=1e-5)


def test_the_front_end_tells_what_was_missing_and_blanks_what_lies_beyond_the_end() -> None:
    x = torch.tensor([[[1.0, NAN, 3.0, NAN], [NAN, 2.0, NAN, NAN]]])
    features, shown = GapFrontEnd(2, "values+mask", "channel", "linear")(x)
    assert features[0].tolist() == [[1, 2, 3, 0], [2, 2, 2, 0], [1, 0, 1, 0], [0, 1, 0, 0]]
    assert shown.tolist() == [[True, True, True, False]]
    features, shown = GapFrontEnd(2, "values", "channel", "hold")(x, torch.arange(4.0)[None])
    assert features[0].tolist() == [[1, 1, 3, 3], [2, 2, 2, 2]] and shown.all(), (
        "a time stamp keeps the last gap inside"
    )
    features, shown = GapFrontEnd(1, "values", fill="linear")(torch.full((1, 1, 3), NAN), torch.arange(3.0)[None])
    assert not features.any() and not shown.any(), "a series without any observation is not shown"


def test_a_step_with_a_missing_value_is_missing_before_it_is_filled() -> None:
    x = torch.tensor([[[1.0, 9.0, 3.0], [0.0, NAN, 4.0]]])
    features, shown = GapFrontEnd(2, "values+mask", "timestep", "linear")(x)
    assert features[0].tolist() == [[1, 2, 3], [0, 2, 4], [1, 0, 1], [1, 0, 1]] and shown.all()
    never, shown = GapFrontEnd(2, "values", "timestep", "linear")(torch.tensor([[[1.0, NAN], [NAN, 2.0]]]))
    assert not never.any() and not shown.any()


def test_a_line_goes_by_time_and_spectra_by_position() -> None:
    x, times = torch.tensor([[[0.0, NAN, 4.0]]]), torch.tensor([[0.0, 1.0, 4.0]])
    assert GapFrontEnd(1, "values", fill="linear")(x, times)[0].tolist() == [[[0.0, 1.0, 4.0]]]
    for name in ("frequency", "tfc_transformer"):
        encoder, wide = built(name), gappy(waves(4))
        stamps = torch.rand(4, 16, generator=gen()).cumsum(dim=1)
        assert torch.equal(encoder(wide, times=stamps), encoder(wide))


def test_hidden_steps_are_blank_after_gaps_are_filled() -> None:
    class Features(SeriesEncoder):
        def __init__(self, channels: int, front_end: Any = "values", missing: Any = "channel", fill: Any = "zero"):
            super().__init__({"channels": channels}, front_end=front_end, missing=missing, fill=fill)

        def encode(self, features: Tensor, lengths: Tensor, observed: Tensor) -> Tensor:
            self.seen = observed.tolist()
            return features

    x, hide = torch.tensor([[[1.0, NAN, 3.0, 4.0]]]), torch.tensor([[False, False, True, False]])
    encoder = Features(1, fill="linear")
    assert encoder(x, hide=hide).tolist() == [[[1.0, 2.0, 0.0, 4.0]]]
    assert encoder.seen == [[True, True, False, True]]


def test_an_unknown_fill_is_refused_by_name() -> None:
    expected = r"fill must be one of zero, hold, linear, completion, completion\+channels; got 'mean'"
    with pytest.raises(ValueError, match=expected):
        built("resnet1d", fill="mean")
    with pytest.raises(ValueError, match=r"fill must be 'zero', 'hold', .*; got 'mean'"):
        TS2Vec(fill="mean").fit(waves().numpy())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"at most 1,024 values a series; these have 2 channels of 600 steps"):
        TS2Vec(fill="completion+channels", **BRIEF).fit(waves(6, 2, 600).numpy())


@every_encoder
def test_an_encoder_pickled_before_there_was_a_choice_has_the_old_one(name: str) -> None:
    if name == "fcn":
        pytest.skip("it never was without the choice")
    before = "linear" if name in ("frequency", "tfc_transformer") else "zero"
    encoder, x = built(name, fill=before), gappy(waves(4))
    expected, state = encoder(x), copy.deepcopy(encoder.__getstate__())
    del state["config"]["fill"]
    state["_modules"].pop("filling", None)
    front_end = state["_modules"].get("front_end")
    if front_end is not None:
        front_end.__dict__.pop("fill")
        state["_modules"]["front_end"] = pickle.loads(pickle.dumps(front_end))
    again = type(encoder).__new__(type(encoder))
    again.__setstate__(state)
    assert again.config == encoder.config
    assert torch.equal(again(x), expected)


# --- estimators ------------------------------------------------------------------------------------------------------


def estimators(fill: str) -> dict[str, Any]:
    resnet = {"resnet1d": {**SMALL["resnet1d"], "fill": fill}}
    dilated = {"dilated_conv": {**SMALL["dilated_conv"], "fill": fill}}
    context = {"context_dim": 4, "context_depth": 1, "context_heads": 1}
    return {
        "ts2vec": TS2Vec(4, 4, 2, fill=fill, **BRIEF),  # type: ignore[arg-type]
        "tstcc": TSTCC(4, 4, fill=fill, **context, **BRIEF),  # type: ignore[arg-type]
        "tfc": TFC(resnet, 8, 4, 2, frequency_fill=fill, **BRIEF),  # type: ignore[arg-type]
        "simclr": SimCLR(encoder=resnet, **BRIEF),
        "simclr of crops": SimCLR("crop_pair", dilated, **BRIEF),
        "momentum": JointEmbedding("jitter", dilated, momentum=0.9, **BRIEF),
        "random_init": RandomInit({"ts2vec": {**SMALL["dilated_conv"], "fill": fill}}, random_state=0),
    }


NAMES = list(estimators("zero"))


def embedded(model: Any, x: Tensor) -> np.ndarray:
    return np.asarray(model.transform(x.numpy()))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fill", ["linear", "completion"])
def test_a_fitted_model_fills_gaps_and_so_does_its_file(name: str, fill: str, tmp_path: Any) -> None:
    x = gappy(waves())
    model = estimators(fill)[name].fit(x.numpy())
    z = embedded(model, x)
    fillings = [part for part in model.fitted_network.method_.modules() if isinstance(part, Filling) and part.learns]
    assert bool(fillings) == (fill == "completion")
    expected = Completion(2, 16).fit(model.fitted_network.to_batch(x.numpy()).x)
    for filling in fillings:
        assert all(torch.equal(a, b) for a, b in zip(filling.buffers(), expected.buffers(), strict=True))
    again = kinview.load_model(model.save(tmp_path / "model.safetensors"))
    assert np.array_equal(embedded(again, x), z)
    assert np.array_equal(embedded(pickle.loads(pickle.dumps(model)), x), z)
    assert not np.array_equal(embedded(estimators("zero")[name].fit(x.numpy()), x), z)


def test_a_completion_is_that_of_whole_series_wherever_a_row_is_cut_from() -> None:
    x = gappy(waves())
    x[:5, :, 12:], x[5:9, :, :3] = NAN, NAN  # centred before training
    for limit in (None, 8):  # cut in two sections
        model = TS2Vec(4, 4, 2, fill="completion", max_train_length=limit, **BRIEF).fit(x.numpy())
        batch = model.to_batch(x.numpy())
        completion = model.method_.encoder.front_end.completion
        assert torch.equal(completion.mean, Completion.of(batch.x).mean)
        rows = model._training_rows(batch)
        views = model.method_.views(rows, gen(3), 0.0)
        whole = bridge(batch.x, torch.arange(16.0).expand(len(x), 16), "completion", completion)
        for view in views:
            offset = view.extra["offset"]
            assert isinstance(offset, Tensor)
            steps = offset[:, None] + torch.arange(view.x.shape[2])
            source = batch.x[view.index].gather(2, steps.clamp(0, 15)[:, None].expand(view.x.shape))
            inside = ((steps >= 0) & (steps < 16))[:, None] & ~torch.isnan(view.x)
            assert torch.equal(view.x[inside], source[inside]), "a step stands where its offset says"
        assert torch.isfinite(whole).all()


def test_windows_of_encode_are_completed_at_their_place() -> None:
    x = gappy(waves())
    model = TS2Vec(4, 4, 1, fill="completion", **BRIEF).fit(x.numpy())
    scaled, times = model.to_batch(x.numpy()).x, torch.arange(16.0).expand(40, 16)
    found = model.encode(x.numpy(), sliding_length=8)
    for first in (0, 8):
        part = slice(first, first + 8)
        with torch.no_grad():
            z = model.method_.encoder(scaled[:, :, part], times=times[:, part], offset=torch.full((40,), first))
        np.testing.assert_allclose(found[:, :, part], z.numpy(), atol=1e-6)


def test_centring_leaves_no_stamp_of_the_other_end_before_a_series() -> None:
    x = waves(2, steps=10)
    x[:, :, 7:] = NAN
    rows = centred(Batch.of(x, times=torch.arange(10.0, dtype=torch.float64).expand(2, 10)))
    assert rows.times is not None
    torch.testing.assert_close(rows.times[0], torch.tensor([NAN, *range(9)], dtype=torch.float64), equal_nan=True)


@pytest.mark.parametrize("fill", ["hold", "linear", "completion"])
def test_what_centring_puts_before_a_shorter_series_is_not_shown(fill: str) -> None:
    x = waves()
    x[:, :, 10:] = NAN
    x[0, :, 10:] = 1.0  # one of full length
    model = TS2Vec(4, 4, 1, fill=fill, **BRIEF).fit(x.numpy())
    rows = model._training_rows(model.to_batch(x.numpy()))
    expected = ~torch.isnan(rows.x).all(dim=1)
    assert expected[0].all() and not expected[1:, :3].any() and expected[1:, 3:13].all() and not expected[1:, 13:].any()
    assert torch.equal(model.method_.observed(rows), expected)
    assert not model.method_.encoder.front_end(rows.x, offset=rows.extra["offset"])[0][1:, :, :3].any()


def test_what_lies_before_a_series_in_a_window_is_not_shown() -> None:
    front_end, x = GapFrontEnd(1, "values", fill="linear"), torch.tensor([[[NAN, NAN, NAN, 2.0]]])
    features, shown = front_end(x, torch.tensor([[NAN, NAN, 0.0, 1.0]]))
    assert features.tolist() == [[[0.0, 0.0, 2.0, 2.0]]] and shown.tolist() == [[False, False, True, True]]
    assert front_end(x)[0].tolist() == [[[2.0, 2.0, 2.0, 2.0]]]


def test_an_untrained_network_learns_the_step_and_a_completion_too() -> None:
    x = gappy(waves())
    times = np.tile(np.arange(16) * 3600.0, (40, 1))
    rows = np.stack([times, *x.numpy().transpose(1, 0, 2)], axis=2).reshape(-1, 3)
    index = pd.MultiIndex.from_arrays([np.repeat(np.arange(40), 16), rows[:, 0]], names=["id", "time"])
    frame = pd.DataFrame(rows[:, 1:], columns=["a", "b"], index=index)
    network = TS2Vec(4, 4, 1, front_end="values+mask+delta", fill="completion", random_state=0).initialise(frame)
    front_end = network.method_.encoder.front_end
    assert front_end.step == 3600.0 and front_end.completion.step == 3600.0
    assert front_end.completion.completed.all()


def test_a_model_taken_to_other_series_completes_them_as_they_are() -> None:
    model = TS2Vec(4, 4, 1, fill="completion", **BRIEF).fit(gappy(waves()).numpy())
    other = gappy(-waves(seed=5))
    adapted = model.adapt(other.numpy())
    assert torch.equal(
        adapted.method_.encoder.front_end.completion.mean, Completion.of(adapted.to_batch(other.numpy()).x).mean
    )
    assert not torch.equal(
        adapted.method_.encoder.front_end.completion.mean, model.method_.encoder.front_end.completion.mean
    )
    with pytest.warns(UserWarning, match=r"start anew: encoder\.input_fc\.weight$"):
        wider = model.adapt(gappy(waves(channels=3)).numpy())
    assert wider.method_.encoder.front_end.completion.completed.all()


def test_too_few_series_are_interpolated() -> None:
    x = gappy(waves(4))
    model = TS2Vec(4, 4, 1, fill="completion", **BRIEF).fit(x.numpy())
    assert np.array_equal(embedded(model, x), embedded(TS2Vec(4, 4, 1, fill="linear", **BRIEF).fit(x.numpy()), x))


# --- gaps in views ---------------------------------------------------------------------------------------------------

DROPOUT = {"observation_dropout": {"p": 0.5}}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "random_init"])
def test_gaps_can_be_made_in_every_view(name: str, tmp_path: Any) -> None:
    plain, x = estimators("linear")[name], waves()
    model = estimators("linear")[name].set_params(gaps=DROPOUT).fit(x.numpy())
    batch = model._training_rows(model.to_batch(x.numpy()))
    views = model.method_.views(batch, gen(3), 0.0)
    without = plain.fit(x.numpy()).method_.views(batch, gen(3), 0.0)
    assert len(views) == len(without)
    for view in views:
        assert 0.35 < float(torch.isnan(view.x).float().mean()) < 0.65
    assert not any(torch.isnan(view.x).any() for view in without)
    assert not torch.equal(torch.isnan(views[0].x[..., :2]), torch.isnan(views[1].x[..., :2])), "each has its own"
    again = kinview.load_model(model.save(tmp_path / "model.safetensors"))
    assert again.get_params()["gaps"] == DROPOUT
    assert np.array_equal(embedded(again, x), embedded(model, x))


def test_a_view_that_makes_no_gaps_or_moves_steps_is_refused() -> None:
    for view, does in (("jitter", "makes no gaps"), ([DROPOUT, "permutation"], "moves steps")):
        with pytest.raises(ValueError, match=rf"gaps must be an augmentation that takes values away.*{does}"):
            TS2Vec(4, 4, 1, gaps=view, **BRIEF).fit(waves().numpy())


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [
        {"ts2vec": {**SMALL["dilated_conv"], "fill": "completion"}},
        {"byol": {"encoder": {"dilated_conv": {**SMALL["dilated_conv"], "fill": "completion+channels"}}}},
        {
            "tfc": {
                "encoder": {"resnet1d": {**SMALL["resnet1d"], "fill": "completion"}},
                "frequency_fill": "completion",
                "bins": 8,
                "hidden_dim": 8,
                "projection_dim": 4,
            }
        },
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_methods_that_complete_keep_the_contract(spec: Any) -> None:
    check_method(spec)
