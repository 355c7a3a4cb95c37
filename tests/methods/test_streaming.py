"""``fit`` and ``transform`` of data that are read a block at a time, beside the same data in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

import helpers
from kinview import SCARF, TS2Vec
from kinview.data import DatasetSource, LongParquetSource, NpySource, WideParquetSource
from kinview.methods import ExpCLR, MiniRocket, RandomInit, RawFeatures, TransTab, TS2VecMiniRocket, methods
from kinview.training import Callback
from kinview.training.checkpoint import CHECKPOINT_NAME

_FEW = {"validation_passes": 2}  # whose views stay in memory
MAKE: dict[str, Any] = {
    "ts2vec": lambda **trainer: TS2Vec(repr_dim=4, hidden_dim=4, depth=2, trainer=_trainer(trainer), random_state=0),
    "simclr": lambda **trainer: methods.build(
        {"simclr": {**helpers.SMALL["simclr"], "trainer": _trainer(trainer)}}, for_modality="time_series"
    ),
    "scarf": lambda **trainer: SCARF(hidden_dim=8, depth=2, trainer=_trainer(_FEW | trainer), random_state=0),
}


def _trainer(given: dict[str, Any]) -> dict[str, Any]:
    return {"max_steps": 9, "batch_size": 8, **given}


def _values(name: str, n: int = 50) -> np.ndarray:
    random = np.random.default_rng(3)
    X = 5 + random.normal(size=(n, 4) if name == "scarf" else (n, 2, 15)).cumsum(axis=0)
    X[random.random(X.shape) < 0.1] = np.nan
    if name != "scarf":
        X[7] = np.nan  # a series without an observation, which is no training row
        X[9, :, 11:] = np.nan
    return X


def _npy(folder: Path, X: np.ndarray, **sizes: int) -> NpySource:
    np.save(folder / "x.npy", X)
    return NpySource(folder / "x.npy", **sizes)


def _file(model: Any, path: Path) -> bytes:
    return model.save(path).read_bytes()


# --- in one block: the same bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["dataset", "robust", "quantile"])
@pytest.mark.parametrize("name", sorted(MAKE))
def test_rows_in_one_block_train_the_same_model_to_the_bit(tmp_path: Path, name: str, scaling: str) -> None:
    X = _values(name)
    source = _npy(tmp_path, X, block_rows=50)
    trainer = {"validation_fraction": 0.2, "max_epochs": 3} if scaling == "robust" else {}
    kept, streamed = (MAKE[name](**trainer).set_params(scaling=scaling).fit(data) for data in (X, source))
    assert _file(streamed, tmp_path / "a.safetensors") == _file(kept, tmp_path / "b.safetensors")
    assert streamed.training_.history == kept.training_.history
    assert np.array_equal(np.asarray(streamed.transform(source)), np.asarray(kept.transform(X)))


@pytest.mark.parametrize("name", sorted(MAKE))
def test_several_blocks_in_memory_at_once_draw_as_all_rows_do(tmp_path: Path, name: str) -> None:
    X = _values(name)
    source = _npy(tmp_path, X, block_rows=8)
    kept, streamed = MAKE[name]().fit(X), MAKE[name]().fit(source)
    losses = [[step["loss"] for step in model.training_.history] for model in (kept, streamed)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert np.allclose(np.asarray(streamed.transform(source)), np.asarray(kept.transform(X)), rtol=1e-3, atol=1e-4)


# --- what is learned of all rows -------------------------------------------------------------------------------------


def test_means_and_deviations_are_those_of_all_series(tmp_path: Path) -> None:
    X = _values("ts2vec", 200) * 1e3 + 1e6
    source = _npy(tmp_path, X, block_rows=16, blocks_in_memory=2)
    kept, streamed = (MAKE["ts2vec"](max_steps=1).fit(data) for data in (X, source))
    assert np.allclose(streamed.scaler_.mean, kept.scaler_.mean, rtol=1e-14)
    assert np.allclose(streamed.scaler_.std, kept.scaler_.std, rtol=1e-10)
    assert streamed.sizes_ == kept.sizes_


def test_kinds_categories_and_moments_are_those_of_all_rows(tmp_path: Path) -> None:
    frame = _frame(300)
    source = _wide(tmp_path, frame, row_group_size=40)
    kept, streamed = (MAKE["scarf"](max_steps=1).fit(data) for data in (frame, source))
    for one, other in zip(kept.schema_.columns, streamed.schema_.columns, strict=True):
        assert (one.name, one.kind, one.categories, one.counts) == (
            other.name, other.kind, other.categories, other.counts,
        )  # fmt: skip
        assert one.mean == pytest.approx(other.mean, rel=1e-12)
        assert one.scale == pytest.approx(other.scale, rel=1e-9)
    assert streamed.schema_.names == ("age", "weight", "sex", "admitted", "rare")
    assert list(streamed.feature_names_in_) == list(frame.columns)


def test_quantiles_are_those_of_a_sample_that_the_seed_draws(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(2000, 3))
    source = _npy(tmp_path, X, block_rows=50, blocks_in_memory=10)  # 40 blocks: a quarter of the rows
    models = [
        SCARF(scaling="quantile", hidden_dim=4, trainer={"max_steps": 1, "validation_fraction": 0}, random_state=seed)
        for seed in (0, 0, 1)
    ]
    knots = [np.array(model.fit(source).schema_.columns[0].knots) for model in models]
    assert np.array_equal(knots[0], knots[1]) and not np.array_equal(knots[0], knots[2])
    of_all = np.array(models[0].fit(X).schema_.columns[0].knots)
    assert 0 < np.abs(knots[0] - of_all)[10:-10].max() < 0.3


def test_a_column_of_two_kinds_is_refused_by_name(tmp_path: Path) -> None:
    class TwoKinds:
        modality, length, blocks_in_memory = "tabular", 0, 1
        starts, names = np.array([0, 6, 12]), pd.RangeIndex(12)

        def __len__(self) -> int:
            return 12

        def read(self, block: int) -> pd.DataFrame:
            return pd.DataFrame({"a": np.arange(6.0), "b": np.arange(6.0) if block == 0 else list("abcabc")})

    with pytest.raises(
        ValueError, match=r"column 'b' holds numeric values in some parts .* categorical ones in others"
    ):
        MAKE["scarf"]().fit(TwoKinds())


# --- which rows a step takes -----------------------------------------------------------------------------------------


def _blocks(n: int, size: int, window: int) -> Any:
    from kinview.data import Batch
    from kinview.data.sources.rows import StreamedRows

    X, reads = torch.arange(n * 1.0)[:, None], []

    def read(block: int) -> Batch:
        reads.append(block)
        rows = torch.arange(block * size, min(n, (block + 1) * size))
        return Batch(X[rows], rows)

    sizes = [min(size, n - first) for first in range(0, n, size)]
    return StreamedRows(read, sizes, blocks_in_memory=window), reads


def test_an_epoch_takes_each_row_once_and_reads_each_block_about_once() -> None:
    rows, reads = _blocks(200, 10, 4)
    order = rows.permutation(helpers.gen(0))
    assert sorted(order.tolist()) == list(range(200))
    windows = [sorted(set((window // 10).tolist())) for window in torch.split(order, 40)]
    assert all(len(window) == 4 for window in windows) and sorted(
        block for window in windows for block in window
    ) == list(range(20))
    assert windows[0] != list(range(4)) and order[:40].tolist() != sorted(order[:40].tolist())
    for batch in torch.split(order, 7):
        found = rows.rows(batch)
        assert torch.equal(found.index, batch) and torch.equal(found.x[:, 0], batch.float())
    assert set(reads) == set(range(20)) and len(reads) < 2 * 20


def test_all_blocks_in_memory_are_permuted_as_one() -> None:
    rows, _ = _blocks(50, 10, 5)
    assert torch.equal(rows.permutation(helpers.gen(3)), torch.randperm(50, generator=helpers.gen(3)))


def test_no_more_blocks_than_asked_stay_in_memory() -> None:
    rows, _ = _blocks(100, 10, 3)
    for batch in torch.split(rows.permutation(helpers.gen(0)), 16):
        rows.rows(batch)
        assert len(rows._held) <= 3
    assert len(rows.all_rows()) == 100 and len(rows._held) <= 3


def test_a_part_of_the_rows_is_permuted_over_its_blocks() -> None:
    rows, _ = _blocks(100, 10, 2)
    part = rows.subset(torch.arange(0, 100, 3))
    order = part.permutation(helpers.gen(1))
    assert sorted(part.rows(order).index.tolist()) == list(range(0, 100, 3))


# --- files -----------------------------------------------------------------------------------------------------------


def _frame(n: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": random.integers(20, 90, n),
            "weight": random.normal(70, 9, n),
            "sex": random.choice(["f", "m"], n),
            "admitted": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, n), "D"),
            "rare": pd.Categorical(random.choice(["a", "b", "c"], n, p=[0.98, 0.01, 0.01])),
        }
    )
    frame.loc[::7, "weight"] = np.nan
    frame.loc[3, "sex"] = None
    return frame


def _wide(folder: Path, frame: pd.DataFrame, row_group_size: int, **options: Any) -> WideParquetSource:
    frame.to_parquet(folder / "x.parquet", index=False, row_group_size=row_group_size)
    source = WideParquetSource(folder / "x.parquet", **options)
    source._groups = np.arange(len(source._file.group_rows) + 1)  # one block a row group, however small
    source.starts = np.append(0, np.cumsum(source._file.group_rows))
    source.blocks_in_memory = 2
    return source


def _long_frame(n: int = 40, dates: bool = False) -> pd.DataFrame:
    random = np.random.default_rng(2)
    lengths = random.integers(5, 16, n)
    rows = [(f"p{i:02d}", float(t)) for i, length in enumerate(lengths) for t in range(length)]
    index = pd.MultiIndex.from_tuples(rows, names=["patient", "hour"])
    if dates:
        stamps = pd.Timestamp("2021-03-01") + pd.to_timedelta(index.get_level_values(1) * 3600 + 7, "s")
        index = pd.MultiIndex.from_arrays([index.get_level_values(0), stamps], names=["patient", "hour"])
    frame = pd.DataFrame(random.normal(size=(len(rows), 2)), index=index, columns=["pulse", "spo2"])
    frame.iloc[::9, 0] = np.nan
    return frame


def _long(folder: Path, frame: pd.DataFrame, row_group_size: int, monkeypatch: pytest.MonkeyPatch) -> LongParquetSource:
    from kinview.data.sources import parquet

    frame.reset_index().to_parquet(folder / "long.parquet", index=False, row_group_size=row_group_size)
    monkeypatch.setattr(parquet, "BLOCK_VALUES", 200)
    return LongParquetSource(folder / "long.parquet", id="patient", time="hour", blocks_in_memory=2)


def test_blocks_of_a_long_file_hold_whole_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = _long_frame()
    source = _long(tmp_path, frame, 37, monkeypatch)
    blocks = [source.read(block) for block in range(len(source.starts) - 1)]
    assert len(blocks) > 5
    pd.testing.assert_frame_equal(pd.concat(blocks), frame)
    assert list(source.names) == list(frame.index.levels[0]) and source.names.name == "patient"
    assert source.length == frame.groupby(level=0).size().max()
    assert [len(block.index.unique(level=0)) for block in blocks] == np.diff(source.starts).tolist()


@pytest.mark.parametrize("dates", [False, True])
def test_a_long_file_trains_and_embeds_as_the_frame_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dates: bool
) -> None:
    frame = _long_frame(dates=dates)
    source = _long(tmp_path, frame, 37, monkeypatch)
    source.blocks_in_memory = len(source.starts)
    model = {"front_end": "values+mask+delta", "repr_dim": 4, "hidden_dim": 4, "depth": 2, "random_state": 0}
    kept, streamed = (TS2Vec(**model, trainer={"max_steps": 5, "batch_size": 8}).fit(X) for X in (frame, source))
    expected, found = kept.transform(frame), streamed.transform(source)
    assert found.index.equals(expected.index) and list(found.columns) == list(expected.columns)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert streamed.time_unit_ == kept.time_unit_ and streamed.channels_ == ("pulse", "spo2")


def test_several_ids_name_the_group(tmp_path: Path) -> None:
    frame = _long_frame().reset_index()
    frame.insert(0, "site", [int(name[1:]) // 4 for name in frame["patient"]])
    frame.to_parquet(tmp_path / "x.parquet", index=False, row_group_size=50)
    source = LongParquetSource(tmp_path / "x.parquet", id=["site", "patient"], time="hour")
    held = []

    class Look(Callback):
        def on_samples(self, samples: Any) -> None:
            held.append(samples.held_out.index)

    trainer = {"max_steps": 2, "batch_size": 8, "validation_fraction": 0.25, "callbacks": [Look()]}
    TS2Vec(repr_dim=4, depth=1, trainer=trainer, random_state=0).fit(source)
    sites = source.names.get_level_values(0)
    inside, outside = set(sites[held[0]]), set(np.delete(sites, held[0]))
    assert inside and not inside & outside


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda frame: pd.concat([frame, frame.iloc[:3].assign(hour=99.0)]),
            "series 'p00' do not stand together; sort",
        ),
        (lambda frame: frame.assign(hour=frame["hour"].mask(frame["hour"] == 3)), "column 'hour' is missing in row 3;"),
        (lambda frame: frame.drop(columns="hour"), "has no column 'hour'; it has 'patient', 'pulse', 'spo2'"),
        (lambda frame: frame.iloc[:0], "has no rows"),
        (lambda frame: frame[["patient", "hour"]], "has no column beside 'patient', 'hour'"),
    ],
)
def test_a_long_file_that_cannot_be_read_block_by_block_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    change(_long_frame().reset_index()).to_parquet(tmp_path / "x.parquet", index=False)
    with pytest.raises(ValueError, match=message):
        LongParquetSource(tmp_path / "x.parquet", id="patient", time="hour")


def test_wide_series_are_rows_of_one_channel(tmp_path: Path) -> None:
    X = _values("ts2vec")[:, 0]
    pd.DataFrame(X).rename(columns=str).assign(who=range(50, 100)).to_parquet(tmp_path / "x.parquet", index=False)
    source = WideParquetSource(tmp_path / "x.parquet", index="who", modality="time_series")
    assert np.array_equal(source.read(0), X[:, None], equal_nan=True)
    assert source.names.tolist() == list(range(50, 100)) and source.length == 15
    with pytest.raises(ValueError, match="column 'text' is not numeric"):
        _wide(tmp_path, pd.DataFrame({"1": [0.5], "text": ["a"]}), 1, modality="time_series").read(0)


def test_a_data_set_of_torch_is_read_item_by_item() -> None:
    X = _values("ts2vec")
    source = DatasetSource(TensorDataset(torch.from_numpy(X), torch.arange(50)), block_rows=50)
    kept, streamed = MAKE["ts2vec"]().fit(X), MAKE["ts2vec"]().fit(source)
    assert np.array_equal(streamed.transform(source), kept.transform(X))


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        (
            [torch.zeros(2, 5), torch.zeros(2, 4)],
            ValueError,
            r"item 1 of list has the shape \(2, 4\), the first \(2, 5\)",
        ),
        ([{"x": torch.zeros(2, 5)}], ValueError, "item 0 of list is a dict; give a tensor or an array"),
        ([], ValueError, "list has no items"),
        (iter([torch.zeros(2, 5)]), TypeError, "give a map-style data set"),
    ],
)
def test_a_data_set_of_other_items_is_refused(dataset: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        DatasetSource(dataset).read(0)


@pytest.mark.parametrize("kind", ["pickled objects", "texts", "flat", "cut short", "no array", "several"])
def test_a_npy_file_that_is_no_array_of_numbers_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((20, 3)))
    if kind == "pickled objects":
        np.save(path, np.array([[{"a": 1}, None]]), allow_pickle=True)
    elif kind == "texts":
        np.save(path, np.array([["a", "b"]]))
    elif kind == "flat":
        np.save(path, np.arange(3.0))
    elif kind == "cut short":
        path.write_bytes(path.read_bytes()[:-8])
    elif kind == "no array":
        path.write_bytes(b"nothing of the kind")
    else:
        np.savez(path.with_suffix(".npz"), a=np.ones((2, 2)))
        path.with_suffix(".npz").rename(path)
    with pytest.raises(ValueError, match=r"x\.npy"):
        NpySource(path)


def test_a_header_that_claims_more_than_there_is_allocates_nothing(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 1000), }".ljust(117) + b"\n"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64)
    with pytest.raises(ValueError, match="cannot be read as an array of numbers"):
        NpySource(tmp_path / "x.npy")


def test_zarr_is_read_in_whole_chunks(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    X = _values("ts2vec")
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=(9, 2, 15), dtype="f8")
    array[:] = X
    from kinview.data import ZarrSource

    source = ZarrSource(tmp_path / "x.zarr", block_rows=50)
    assert np.array_equal(source.read(0), X, equal_nan=True) and len(ZarrSource(tmp_path / "x.zarr")) == 50
    kept, streamed = MAKE["ts2vec"]().fit(X), MAKE["ts2vec"]().fit(source)
    assert np.array_equal(streamed.transform(source), kept.transform(X))


def test_zarr_that_would_unpickle_is_refused(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "x.zarr"), shape=(4, 3), chunks=(2, 3), dtype="f8", zarr_format=2)
    described = tmp_path / "x.zarr" / ".zarray"
    described.write_text(
        described.read_text().replace('"filters": null', '"filters": [{"id": "pickle", "protocol": 5}]')
    )
    from kinview.data import ZarrSource

    with pytest.raises(ValueError, match="pickle"):
        ZarrSource(tmp_path / "x.zarr")


# --- embeddings ------------------------------------------------------------------------------------------------------


def test_embeddings_go_to_an_array_or_a_parquet_file_with_the_names(tmp_path: Path, monkeypatch: Any) -> None:
    frame = _long_frame()
    source = _long(tmp_path, frame, 37, monkeypatch)
    model = MAKE["ts2vec"](max_steps=1).fit(frame)
    expected = model.transform(source)
    out = np.zeros(expected.shape)
    model.transform(source, out=out)
    assert np.array_equal(out.astype(np.float32), expected.to_numpy())
    path = model.transform(source, out=tmp_path / "z.parquet")
    assert path == tmp_path / "z.parquet"
    table = pd.read_parquet(path)
    assert list(table.columns) == ["patient", *expected.columns]
    assert np.array_equal(table.drop(columns="patient"), expected) and list(table["patient"]) == list(expected.index)
    in_memory = pd.read_parquet(model.transform(frame, out=str(tmp_path / "y.parquet")))
    assert list(in_memory.columns) == list(table.columns)
    assert np.allclose(in_memory.drop(columns="patient"), expected, atol=1e-5)


def test_rows_without_a_name_are_counted_in_the_file(tmp_path: Path) -> None:
    X = _values("scarf")
    source = _npy(tmp_path, X, block_rows=8, blocks_in_memory=2)
    model = MAKE["scarf"](max_steps=2).fit(source)
    for data, name in ((source, "a.parquet"), (X, "b.parquet")):
        table = pd.read_parquet(model.transform(data, out=tmp_path / name))
        assert list(table.columns) == ["row", *model.get_feature_names_out()]
        assert table["row"].tolist() == list(range(50))
        assert np.allclose(table.drop(columns="row"), model.transform(X), atol=1e-6)


def test_a_file_is_there_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    X = _values("scarf")
    model = MAKE["scarf"](max_steps=1).fit(X)

    class Breaks(DatasetSource):
        def read(self, block: int) -> Any:
            if block == 3:
                raise OSError("the disk is gone")
            return super().read(block)

    with pytest.raises(OSError, match="the disk is gone"):
        model.transform(Breaks(X, block_rows=8), out=tmp_path / "z.parquet")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"must end in \.parquet"):
        model.transform(X, out=tmp_path / "z.csv")


# --- labels, groups, callbacks ---------------------------------------------------------------------------------------


def test_labels_and_groups_reach_their_rows(tmp_path: Path) -> None:
    X, y = _values("ts2vec"), np.arange(50) % 3
    source = _npy(tmp_path, X, block_rows=8, blocks_in_memory=2)
    seen = []

    class Look(Callback):
        needs_labels = True

        def on_samples(self, samples: Any) -> None:
            seen.append(samples)

    MAKE["ts2vec"](callbacks=[Look()]).fit(source, y)
    assert len(seen[0].fitted) < 20 and seen[0].size == 50
    assert torch.equal(seen[0].fitted.y, torch.from_numpy(y)[seen[0].fitted.index])
    sup = {"sup_con": {"encoder": helpers.SMALL["simclr"]["encoder"], "trainer": _trainer({}), "random_state": 0}}
    kept, streamed = (
        methods.build(sup, for_modality="time_series").fit(data, y) for data in (X, _npy(tmp_path, X, block_rows=50))
    )
    assert kept.training_.history == streamed.training_.history


def test_held_out_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    source = _npy(tmp_path, _values("scarf", 200), block_rows=10, blocks_in_memory=2)
    with pytest.raises(ValueError, match=r"validation_passes=1\) views 60 rows once.* room for 20: give a smaller"):
        MAKE["scarf"](validation_fraction=0.3, validation_passes=1).fit(source)
    with pytest.raises(ValueError, match="views 10 rows 3 times"):
        MAKE["scarf"](validation_fraction=0.05, validation_passes=3).fit(source)
    few = {"validation_fraction": 0.05, "validation_passes": 2, "max_epochs": 2, "max_steps": None}
    model = MAKE["scarf"](**few).fit(source)
    assert len(model.training_.validation) == 2


# --- what cannot be streamed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MiniRocket(), "MiniRocket learns from all rows at once: give the rows in memory"),
        (TS2VecMiniRocket(), "TS2VecMiniRocket learns of all series at once how long they are"),
        (ExpCLR(), "ExpCLR standardises its expert features over all series"),
        (RawFeatures(), "needs all rows at once: give the rows in memory"),
        (TS2Vec(random_state=0, trainer={"max_steps": 1}), None),
    ],
)
def test_what_needs_all_rows_says_so(tmp_path: Path, model: Any, message: str | None) -> None:
    source = _npy(tmp_path, _values("ts2vec"), block_rows=8)
    if message is None:
        fitted = model.fit(source)
        with pytest.raises(TypeError, match="NpySource, which is read a block at a time"):
            fitted.adapt(source)
        return
    with pytest.raises(TypeError, match=message):
        model.fit(source)


def test_a_source_of_the_other_modality_is_refused(tmp_path: Path) -> None:
    source = _npy(tmp_path, _values("scarf"))
    with pytest.raises(ValueError, match="TS2Vec reads time series, and X, a NpySource, holds tables"):
        MAKE["ts2vec"]().fit(source)
    with pytest.raises(ValueError, match="SCARF reads tables, and X, a NpySource, holds time series"):
        MAKE["scarf"]().fit(_npy(tmp_path, _values("ts2vec")))


def test_untrained_networks_and_fixed_features_embed_block_by_block(tmp_path: Path) -> None:
    X = _values("ts2vec")
    source = _npy(tmp_path, X, block_rows=8)
    untrained = RandomInit({"ts2vec": {"repr_dim": 4, "depth": 2}}, random_state=0)
    assert np.allclose(untrained.fit(source).transform(source), untrained.fit(X).transform(X), atol=1e-5)
    fixed = MiniRocket(features=84).fit(X)
    assert np.allclose(fixed.transform(source), fixed.transform(X), atol=1e-5)


def test_names_of_columns_are_read_from_a_source(tmp_path: Path) -> None:
    frame = _frame(60)
    source = _wide(tmp_path, frame, row_group_size=60)
    model = methods.build({"transtab": helpers.SMALL["transtab"]})
    assert isinstance(model, TransTab)
    assert np.allclose(model.fit(source).transform(source), model.fit(frame).transform(frame), atol=1e-6)


# --- continuing ------------------------------------------------------------------------------------------------------


class _Stop(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, state: Any, method: Any) -> None:
        if state.step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [3, 7, 8, 13])
@pytest.mark.parametrize("name", ["ts2vec", "scarf"])
def test_a_training_that_was_stopped_continues_to_the_same_bits(tmp_path: Path, name: str, stop: int) -> None:
    source = _npy(tmp_path, _values(name), block_rows=6, blocks_in_memory=3)
    trainer = {"max_steps": 17, "checkpoint_dir": str(tmp_path / "run"), "checkpoint_every": 2}
    whole = _file(MAKE[name](max_steps=17).fit(source), tmp_path / "whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        MAKE[name](**trainer, callbacks=[_Stop(stop)]).fit(source)
    assert (tmp_path / "run" / CHECKPOINT_NAME).exists()
    resumed = MAKE[name](**trainer).fit(NpySource(tmp_path / "x.npy", block_rows=6, blocks_in_memory=3))
    assert _file(resumed, tmp_path / "resumed.safetensors") == whole
    assert len(resumed.training_.history) == 17


@pytest.mark.parametrize("change", ["a value", "the blocks", "the window", "the labels"])
def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path, change: str) -> None:
    X = _values("scarf")
    trainer = {"checkpoint_dir": str(tmp_path / "run")}
    groups = np.arange(50) // 2
    MAKE["scarf"](**trainer).fit(_npy(tmp_path, X, block_rows=6, blocks_in_memory=3), groups=groups)
    if change == "a value":
        X[31, 2] += 1e-9
    elif change == "the labels":
        groups = np.arange(50) // 5
    sizes = {"block_rows": 7 if change == "the blocks" else 6, "blocks_in_memory": 2 if change == "the window" else 3}
    with pytest.raises(ValueError, match="belongs to another training: data was"):
        MAKE["scarf"](**trainer).fit(_npy(tmp_path, X, **sizes), groups=groups)


def test_data_that_change_while_they_are_read_are_told(tmp_path: Path) -> None:
    X = _values("ts2vec")

    class Changes(DatasetSource):
        def read(self, block: int) -> Any:
            found = super().read(block)
            if getattr(self, "surveyed", 0) >= len(self.starts):
                found[:] = np.nan
            self.surveyed = getattr(self, "surveyed", 0) + 1
            return found

    with pytest.raises(ValueError, match=r"training rows now, and had .* it has changed"):
        MAKE["ts2vec"]().fit(Changes(X, block_rows=8, blocks_in_memory=2))
