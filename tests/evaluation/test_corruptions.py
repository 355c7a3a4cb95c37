import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings, strategies as st

from kinview.evaluation import MCAR, corrupt, observed_mask, realised_rate
from kinview.evaluation.corruptions import Cells, Corruption, corruptions
from kinview.registry import to_config


def gappy(n=6, channels=3, steps=20, seed=0):
    """Series with gaps, one missing step and padding of differing length."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, channels, steps)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[1, :, 4] = np.nan
    for i in range(n):
        x[i, :, steps - i :] = np.nan
    return x


def as_panel(x):
    """The same data as a frame (instance, time) without the padded steps; interior missing steps stay rows."""
    rows, keys = [], []
    for i, series in enumerate(x):
        length = int(np.flatnonzero(~np.isnan(series).all(axis=0)).max()) + 1
        rows.append(series[:, :length].T)
        keys += [(i, t) for t in range(length)]
    index = pd.MultiIndex.from_tuples(keys, names=["patient", "time"])
    return pd.DataFrame(np.concatenate(rows), index=index, columns=[f"c{k}" for k in range(x.shape[1])])


def mixed_table(n=40):
    rng = np.random.default_rng(0)
    text = rng.choice(["a", "b", "c"], n)
    return pd.DataFrame(
        {
            "float": rng.normal(size=n),
            "int": rng.integers(0, 9, n),
            "big": rng.integers(2**60, 2**61, n),
            "uint": rng.integers(0, 9, n).astype("uint64"),
            "bool": rng.random(n) < 0.5,
            "text": pd.Series(text),
            "object": pd.Series([*text[:-1], None], dtype=object),
            "category": pd.Categorical(text, categories=["c", "b", "a", "never"]),
            "ordered": pd.Categorical(text, ordered=True),
            "date": pd.date_range("2020", periods=n, tz="UTC"),
            "span": pd.to_timedelta(np.arange(n), unit="h"),
            "period": pd.period_range("2020", periods=n, freq="D"),
            "Int8": pd.array([None, *range(n - 1)], dtype="Int8"),
            "Float64": pd.array([None, *np.arange(n - 1.0)], dtype="Float64"),
            "boolean": pd.array([None, *(rng.random(n - 1) < 0.5)], dtype="boolean"),
            "arrow_int": pd.array([None, *range(n - 1)], dtype="int64[pyarrow]"),
            "arrow_text": pd.array([None, *text[1:]], dtype=pd.ArrowDtype(pa.string())),
            "arrow_bool": pd.array([None, *(rng.random(n - 1) < 0.5)], dtype="bool[pyarrow]"),
            "arrow_nan": pd.arrays.ArrowExtensionArray(pa.array([None, float("nan"), *np.arange(n - 2.0)])),
            "sparse": pd.arrays.SparseArray(np.r_[np.nan, np.zeros(n - 2), 1.0], fill_value=0.0),
        }
    ).set_index(pd.Index(np.arange(n) + 100, name="row"))


def rdo(x, p, rng):
    """PyGrinder's definition, step by step: choose round(p * #observed) of the observed cells, set them to NaN."""
    flat = x.copy().reshape(-1)
    candidates = [i for i, value in enumerate(flat) if value == value]
    for i in rng.choice(candidates, round(len(candidates) * p), replace=False):
        flat[i] = np.nan
    return flat.reshape(x.shape)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.5, 0.7, 1.0])
def test_cells_removed_are_as_many_as_rdo_removes(rate):
    x = gappy()
    reference = rdo(x, rate, np.random.default_rng(3))
    result, removed = corrupt(x, MCAR(rate), seed=0)
    assert np.isnan(result).sum() == np.isnan(reference).sum()
    assert removed.sum() == round(rate * (~np.isnan(x)).sum())
    np.testing.assert_array_equal(np.isnan(result), np.isnan(x) | removed)
    np.testing.assert_array_equal(result[~removed], x[~removed])


def test_cells_are_chosen_uniformly_as_rdo_chooses_them():
    x = np.arange(12.0).reshape(1, 2, 6)
    x[0, 0, 2] = np.nan
    rng = np.random.default_rng(0)
    draws = 3000
    ours = sum(corrupt(x, MCAR(0.3), seed)[1].astype(int) for seed in range(draws)) / draws
    theirs = sum(np.isnan(rdo(x, 0.3, rng)).astype(int) for _ in range(draws)) / draws
    theirs[0, 0, 2] = 0  # missing already
    expected = round(0.3 * 11) / 11
    observed = ~np.isnan(x)
    # five standard errors of a fraction over 3000 draws
    assert np.abs(ours[observed] - expected).max() < 5 * np.sqrt(expected * (1 - expected) / draws)
    assert np.abs(ours - theirs).max() < 7 * np.sqrt(expected * (1 - expected) / draws)


@pytest.mark.parametrize("mode", ["cell", "timestep"])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rates=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    n=st.integers(1, 5),
    channels=st.integers(1, 3),
    steps=st.integers(1, 12),
)
def test_removed_cells_were_observed_and_are_nested_over_rates(mode, seed, rates, n, channels, steps):
    x = np.random.default_rng(seed).normal(size=(n, channels, steps))
    x[np.random.default_rng(seed + 1).random(x.shape) < 0.3] = np.nan
    before = x.copy()
    previous = np.zeros_like(x, dtype=bool)
    for rate in sorted(rates):
        result, removed = corrupt(x, MCAR(rate, mode), seed)
        again, _ = corrupt(x, MCAR(rate, mode), seed)
        np.testing.assert_array_equal(result, again)
        assert not (removed & np.isnan(before)).any()
        assert not (previous & ~removed).any()
        previous = removed
    np.testing.assert_array_equal(x, before)


def test_whole_observed_time_steps_go_in_timestep_mode():
    x = gappy()
    step_observed = ~np.isnan(x).all(axis=1)
    for rate in (0.1, 0.3, 0.5, 0.7):
        result, removed = corrupt(x, {"mcar": {"mode": "timestep"}}, seed=5, rate=rate)
        gone = step_observed & np.isnan(result).all(axis=1)
        assert gone.sum() == round(rate * step_observed.sum())
        np.testing.assert_array_equal(removed, ~np.isnan(x) & gone[:, None, :])


def test_timestep_mode_on_complete_series_is_ts2vec_data_dropout():
    # data_dropout of the official code: int(B * T * p) of all (series, step) pairs, all channels together.
    x = np.ones((4, 3, 25))
    for p in (0.1, 0.3, 0.5, 0.7):
        result, removed = corrupt(x, MCAR(p, "timestep"), seed=1)
        assert abs(np.isnan(result[:, 0]).sum() - int(4 * 25 * p)) <= 1
        assert (removed.all(axis=1) == removed.any(axis=1)).all()
        assert realised_rate(x, removed) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize("mode", ["cell", "timestep"])
def test_one_seed_is_one_mask_in_every_container_and_padding(mode):
    x = gappy()
    corruption = MCAR(0.4, mode)
    result, removed = corrupt(x, corruption, seed=7)

    padded = np.concatenate([x, np.full((*x.shape[:2], 9), np.nan, dtype=np.float32)], axis=2)
    np.testing.assert_array_equal(corrupt(padded, corruption, seed=7)[0][:, :, : x.shape[2]], result)

    tensor, mask = corrupt(torch.from_numpy(x), corruption, seed=7)
    assert tensor.dtype == torch.float32 and mask.dtype == torch.bool
    np.testing.assert_array_equal(tensor.numpy(), result)
    np.testing.assert_array_equal(mask.numpy(), removed)

    panel = as_panel(x)
    frame, frame_removed = corrupt(panel, corruption, seed=7)
    positions = panel.index.to_frame().to_numpy()
    np.testing.assert_array_equal(frame.to_numpy(), result[positions[:, 0], :, positions[:, 1]])
    np.testing.assert_array_equal(frame_removed, removed[positions[:, 0], :, positions[:, 1]])
    pd.testing.assert_index_equal(frame.index, panel.index)
    pd.testing.assert_frame_equal(panel, as_panel(x))


def test_seeds_differ_and_a_sequence_is_a_seed():
    x = np.ones((3, 2, 30))
    masks = [corrupt(x, MCAR(0.5), seed)[1] for seed in (0, 1, (0, 0), (0, 1))]
    for i in range(4):
        for j in range(i):
            if (i, j) != (2, 0):  # numpy gives (0, 0) and 0 the same stream
                assert (masks[i] != masks[j]).any()


def test_global_random_state_plays_no_part():
    x = np.ones((3, 2, 30))
    np.random.seed(1)  # noqa: NPY002
    first = corrupt(x, MCAR(0.5), 0)[1]
    np.random.seed(2)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(first, corrupt(x, MCAR(0.5), 0)[1])
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_mixed_table_loses_exact_cells_and_keeps_the_rest(rate):
    table = mixed_table()
    copy = table.copy()
    observed = observed_mask(table)
    assert observed.sum() == table.size - 10  # the Nones and NaNs above
    result, removed = corrupt(table, MCAR(rate), seed=0)
    pd.testing.assert_frame_equal(table, copy)
    assert removed.shape == table.shape and removed.sum() == round(rate * observed.sum())
    np.testing.assert_array_equal(observed_mask(result), observed & ~removed)
    pd.testing.assert_index_equal(result.index, table.index)
    pd.testing.assert_index_equal(result.columns, table.columns)
    for i, name in enumerate(table):
        kept = np.flatnonzero(~removed[:, i])
        for given_value, value in zip(table[name].iloc[kept], result[name].iloc[kept]):
            assert pd.isna(value) if pd.isna(given_value) else given_value == value


def test_mixed_table_keeps_its_kinds():
    result, removed = corrupt(mixed_table(), MCAR(0.3), seed=0)
    assert removed.any(axis=0).all()
    kinds = {name: str(dtype) for name, dtype in result.dtypes.items()}
    assert kinds["int"] == "float64" and kinds["uint"] == "float64"
    assert kinds["big"] == "Int64"  # float64 would lose its last digits
    assert kinds["bool"] == "boolean"
    table = mixed_table()
    for name in table.columns.difference(["int", "uint", "big", "bool"]):
        assert result[name].dtype == table[name].dtype
    assert list(result["category"].cat.categories) == ["c", "b", "a", "never"]


def test_repeated_column_names_and_many_columns():
    frame = pd.DataFrame(np.ones((10, 200)), columns=["same"] * 200)
    result, removed = corrupt(frame, MCAR(0.5), seed=0)
    np.testing.assert_array_equal(result.isna().to_numpy(), removed)
    assert removed.sum() == 1000


def test_integer_and_boolean_arrays_become_floats():
    counts, removed = corrupt(np.arange(10).reshape(2, 5), MCAR(0.3), seed=0)
    assert counts.dtype == np.float64 and removed.sum() == 3
    flags, _ = corrupt(np.ones((2, 5), dtype=bool), MCAR(0.3), seed=0)
    assert flags.dtype == np.float32 and np.nansum(flags) == 7
    tensor, mask = corrupt(torch.arange(10).reshape(2, 5), MCAR(0.3), seed=0)
    assert tensor.is_floating_point() and int(tensor.isnan().sum()) == int(mask.sum()) == 3


def test_bfloat16_tensors_keep_their_type():
    tensor, mask = corrupt(torch.ones(2, 1, 10, dtype=torch.bfloat16), MCAR(0.5), seed=0)
    assert tensor.dtype == torch.bfloat16 and int(mask.sum()) == 10


def test_nothing_observed_and_nothing_at_all():
    result, removed = corrupt(np.full((2, 1, 3), np.nan), MCAR(0.5), seed=0)
    assert not removed.any() and np.isnan(result).all()
    assert realised_rate(result, removed) == 0.0
    assert corrupt(pd.DataFrame(index=range(3)), MCAR(0.5), seed=0)[0].shape == (3, 0)


def test_realised_rate_counts_observed_cells_only():
    x = np.full((1, 1, 10), np.nan)
    x[..., :5] = 1.0
    _, removed = corrupt(x, MCAR(0.4), seed=0)
    assert removed.sum() == 2 and realised_rate(x, removed) == 0.4


@pytest.mark.parametrize(
    "spec, built",
    [("mcar", MCAR(0.2)), ({"mcar": {"mode": "timestep"}}, MCAR(0.2, "timestep"))],
)
def test_registry_builds_with_a_rate_from_outside(spec, built):
    assert corruptions.build(spec, rate=0.2) == built
    assert corruptions.build(to_config(built)) == built


def test_a_part_of_ones_own_takes_every_container():
    class FirstColumn(Corruption):
        def remove(self, cells: Cells, generator):
            removed = np.zeros_like(cells.observed)
            removed[:, 0] = cells.observed[:, 0]
            return removed

    x = gappy()
    assert np.isnan(corrupt(x, FirstColumn(0.5), 0)[0][:, 0]).all()
    assert corrupt(as_panel(x), FirstColumn(0.5), 0)[0]["c0"].isna().all()


@pytest.mark.parametrize("rate", [-0.1, 1.1, 20, float("nan")])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(ValueError, match=r"use 0 <= rate <= 1"):
        MCAR(rate)


@pytest.mark.parametrize("rate", ["0.2", None, True])
def test_rates_that_are_no_numbers_are_refused(rate):
    with pytest.raises(ValueError, match="rate must be a number"):
        MCAR(rate)


def test_wrong_input_is_refused_by_name():
    with pytest.raises(ValueError, match="mode='row' is unknown; use 'cell' or 'timestep'"):
        MCAR(0.2, "row")
    with pytest.raises(ValueError, match="table has no time steps, use mode='cell'"):
        corrupt(np.ones((3, 2)), MCAR(0.2, "timestep"), 0)
    with pytest.raises(ValueError, match="table has no time steps"):
        corrupt(pd.DataFrame({"a": [1.0]}), MCAR(0.2, "timestep"), 0)
    with pytest.raises(ValueError, match=r"got shape \(3,\)"):
        corrupt(np.ones(3), MCAR(0.2), 0)
    with pytest.raises(TypeError, match="got list"):
        corrupt([1.0, 2.0], MCAR(0.2), 0)
    with pytest.raises(TypeError, match="real numbers, got dtype object"):
        corrupt(np.array([["a", 1]], dtype=object), MCAR(0.2), 0)
    with pytest.raises(TypeError, match="real numbers, got dtype complex128"):
        corrupt(np.ones((2, 2), dtype=complex), MCAR(0.2), 0)
    with pytest.raises(TypeError, match="column 'dim_0' holds arrays or series"):
        corrupt(pd.DataFrame({"dim_0": [pd.Series([1.0, 2.0]), pd.Series([1.0])]}), MCAR(0.2), 0)
    with pytest.raises(ValueError, match="a corruption is written as its name"):
        corrupt(np.ones((2, 2)), 3, 0)
    with pytest.raises(TypeError, match="part of the registry 'corruptions'"):
        corrupt(np.ones((2, 2)), object(), 0)
    with pytest.raises(ValueError, match="did you mean 'mcar'"):
        corrupt(np.ones((2, 2)), "mcarr", 0)


@pytest.mark.parametrize("seed", [None, -1, 1.5, True, "a", []])
def test_seeds_that_cannot_be_repeated_are_refused(seed):
    with pytest.raises(ValueError, match="seed must be an integer >= 0"):
        corrupt(np.ones((2, 2)), MCAR(0.2), seed)


def test_the_link_at_the_top_of_a_checkout_makes_no_second_registry(tmp_path):
    (tmp_path / "evaluation").symlink_to(Path(sys.modules["kinview.evaluation"].__file__).parent)
    run = subprocess.run(
        [sys.executable, "-c", "import evaluation"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0 and "attempted relative import beyond top-level package" in run.stderr


def test_registries_are_light():
    code = (
        "import sys, kinview.evaluation.corruptions as c; assert 'mcar' in c.corruptions; "
        "assert not {'torch', 'sktime', 'xgboost', 'sklearn'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif("KINVIEW_DATA" not in os.environ, reason="set KINVIEW_DATA to a folder with ECG200")
def test_exact_rate_on_a_real_archive_set():
    folder = Path(os.environ["KINVIEW_DATA"]) / "ECG200"
    x = np.loadtxt(folder / "ECG200_TEST.tsv")[:, None, 1:]
    for rate in (0.2, 0.4):
        result, removed = corrupt(x, MCAR(rate, "timestep"), seed=0)
        assert np.isnan(result).sum() == removed.sum() == round(rate * x.size)
