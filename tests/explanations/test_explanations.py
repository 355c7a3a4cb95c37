"""What is made of an explanation: frames, words, pictures, and curves of deletion."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import kinview
from helpers import NAN
from kinview.evaluation import Linear
from kinview.explanations import Deletion, Explanation, Occlusion, deletion
from kinview.methods import RawFeatures
from test_explainers import Weighted, series, table


def named_series() -> pd.DataFrame:
    """Two patients' stays with dates, the rows in any order."""
    stamps = pd.date_range("2024-03-01", periods=12, freq="h")
    rows = [(f"P{i}", stamp, float(k * (i + 1) % 5), NAN if k % 4 else 37.0 + k) for i in range(2)
            for k, stamp in enumerate(stamps[: 12 - 3 * i])]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["patient", "time", "hr", "temp"]).set_index(["patient", "time"])
    return frame.sample(frac=1, random_state=0)


def test_a_frame_has_the_names_and_stamps_that_were_given() -> None:
    X = named_series()
    model = kinview.TS2Vec(repr_dim=4, hidden_dim=4, depth=1, trainer={"max_steps": 1}, random_state=0).fit(X)
    found = kinview.explain(model, X).to_frame()
    assert list(found.columns) == ["hr", "temp"] and found.index.names == ["patient", "time"]
    pd.testing.assert_index_equal(found.index.sort_values(), X.index.sort_values())
    together = found.join(X, rsuffix="_given")
    for name in ("hr", "temp"):
        assert (together[name].isna() == together[f"{name}_given"].isna()).all()
    frame = table().set_index(pd.Index([f"row {i}" for i in range(40)], name="id"))
    found = kinview.explain(RawFeatures().fit(frame), frame[frame.columns[::-1]]).to_frame()  # columns by name
    assert list(found.columns) == list(frame.columns) and found.index.equals(frame.index)
    bare = kinview.explain(Weighted(np.ones((2, 30))), series()).to_frame()
    assert bare.index.names == ["sample", "step"] and len(bare) == 4 * 30


def test_top_names_the_windows_and_columns_that_matter() -> None:
    X = np.zeros((2, 2, 40))
    X[:, 1, 20:22] = [[3.0], [-3.0]]
    X[1, 0] = NAN
    found = kinview.explain(Weighted(np.ones((2, 40))), X + 1e-3, window=2, stride=2, distance="euclidean")
    top = found.top(1, 2)
    assert top.iloc[0][["channel", "first", "last"]].tolist() == ["channel_1", 20, 21]
    assert len(found.top(1, 99)) == 20 and len(found.top(0, 99)) == 40  # a channel without a value has none
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", None]})
    values = np.array([[0.1, -0.4], [0.2, 0.1], [0.3, NAN]])
    made = Explanation(values, Occlusion(), ("a", "b"), frame.index, frame)
    assert made.top(0).to_dict("list") == {"column": ["b", "a"], "value": ["x", 1.0], "importance": [-0.4, 0.1]}
    assert made.top(2)["column"].tolist() == ["a"]
    with pytest.raises(ValueError, match="there is no sample 3: the explanation has 3, from 0 to 2"):
        made.top(3)


def test_a_heat_map_shows_lines_and_the_importance_behind_them(tmp_path: Any) -> None:
    X = series(3, 6, 30)
    weights = np.ones((6, 30)) * np.array([1, 9, 8, 7, 6, 0])[:, None]
    found = kinview.explain(Weighted(weights), X)
    figure = found.plot([0, 2])
    lanes = [axes for axes in figure.axes if axes.get_label() != "key"]
    assert [axes.get_label() for axes in lanes[:4]] == [f"series 0, channel_{i}" for i in (1, 2, 3, 4)]
    for axes, (sample, channel) in zip(lanes, [(i, c) for i in (0, 2) for c in (1, 2, 3, 4)], strict=True):
        line = next(line for line in axes.lines if line.get_gid() == "series")
        np.testing.assert_array_equal(np.asarray(line.get_ydata()), X[sample, channel])
        (behind,) = (mesh for mesh in axes.collections if mesh.get_gid() == "importance")
        np.testing.assert_array_equal(np.ma.filled(behind.get_array(), NAN).ravel(), found.values[sample, channel])
    assert "2 further channels" in lanes[0].get_title(loc="left")
    assert len(found.plot(0, channels=6).axes) == 7 and len(figure.axes) == 10
    first, second = (found.save(tmp_path / name, 1, channels=1).read_bytes() for name in ("a.svg", "b.svg"))
    assert first == second and found.save(tmp_path / "x.png", channels=1).read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg"):
        found.save(tmp_path / "x.pdf")
    with pytest.raises(ValueError, match="samples must name at least one"):
        found.plot([])


def test_a_row_of_a_table_is_drawn_as_bars_with_its_values(tmp_path: Any) -> None:
    frame = table()
    found = kinview.explain(RawFeatures().fit(frame), frame)
    texts = [element.text for element in ElementTree.parse(found.save(tmp_path / "x.svg", 1)).iter() if element.text]
    assert f"crp = {frame['crp'][1]:.4g}" in texts and f"sex = {frame['sex'][1]}" in texts and "row 1" in texts
    (axes,) = found.plot(1).axes
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, np.sort(found.values[1])[::-1])


def test_series_with_dates_and_of_one_step_are_drawn() -> None:
    X = named_series()
    figure = kinview.explain(RawFeatures().fit(X), X).plot([0, 1])
    assert figure.axes[0].get_xlim()[0] > 10_000  # days since 1970
    assert len(kinview.explain(Weighted(np.ones((1, 1))), np.ones((2, 1, 1))).plot(0).axes) == 2


# --- deletion --------------------------------------------------------------------------------------------------------


def known(n: int = 12) -> tuple[Weighted, np.ndarray]:
    """Of 20 windows of two steps, 3 of channel 0 matter."""
    weights = np.full((2, 40), 0.1)
    weights[0, [4, 5, 20, 21, 30, 31]] = 5.0
    X = np.random.default_rng(0).normal(size=(n, 2, 40))
    X[0, 0, 20:22] = NAN
    return Weighted(weights), X


def test_hiding_what_matters_moves_the_representation_more_than_chance() -> None:
    model, X = known()
    found = kinview.explain(model, X)
    curves = deletion(model, X, found, fractions=[0.0, 3 / 40, 0.5, 1.0])
    assert curves.area.low > 0
    np.testing.assert_allclose(curves.important[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(curves.important[:, -1], curves.random[:, -1])  # all are hidden in both
    assert (curves.important[1:, 1] > 0.3).all()
    np.testing.assert_allclose(np.diff(curves.fractions) @ (
        (curves.important - curves.random)[:, 1:] + (curves.important - curves.random)[:, :-1]
    ).T / 2, curves.areas)  # fmt: skip
    upside_down = Explanation(-np.abs(1 / (found.values + 1e-9)), *_rest(found))
    assert deletion(model, X, upside_down).area.high < 0
    chance = deletion(model, X, Explanation(np.where(np.isnan(X), NAN, 1.0), *_rest(found)), draws=20)
    assert abs(chance.area.mean) < curves.area.mean / 3
    assert deletion(model, X, found).area == deletion(model, X, found).area
    assert list(curves.to_frame().columns) == ["important", "random"] and len(curves.plot().axes[0].lines) == 2
    axes = curves.plot().axes[0]
    assert axes.get_ylabel() == "change of the representation" and axes.get_ylim()[0] == 0
    assert np.isnan(deletion(model, X[:1], kinview.explain(model, X[:1])).area.low)


def _rest(found: Explanation) -> tuple[Any, ...]:
    return found.explainer, found.names, found.index, found.given, found.steps


def test_so_many_units_are_hidden_as_the_fraction_says_and_unobserved_ones_do_not_count() -> None:
    class Count(Weighted):
        """How many values are observed, exactly."""

        def embed_batch(self, batch: Any) -> Any:
            return (~batch.x.isnan()).flatten(1).sum(dim=1, keepdim=True).double()

    model, X = known()
    X[1, 1] = NAN
    found = kinview.explain(model, X)
    curves = deletion(Count(model.weights), X, found, fractions=[0, 0.25, 0.5, 1], distance="euclidean")
    hidden = curves.important
    np.testing.assert_array_equal(hidden[2], [0, 20, 40, 80])
    np.testing.assert_array_equal(hidden[1], [0, 10, 20, 40])
    np.testing.assert_array_equal(hidden[0], [0, 20, 40, 78])  # 39 windows, of which 9.75 are 10


@pytest.mark.parametrize("probe", [Linear(), LogisticRegression()], ids=str)
def test_with_a_probe_the_fall_of_its_score_is_measured(probe: Any) -> None:
    model, X = known(60)
    X[:, 0, 4:6] += np.where(np.arange(60) % 2, 2.0, -2.0)[:, None]
    z = model.embed_batch(model.to_batch(X)).numpy()
    probe.fit(z, np.arange(60) % 2)
    curves = deletion(model, X, kinview.explain(model, X), probe=probe)
    assert curves.area.low > 0 and np.abs(curves.important[:, 0]).max() < 1e-6
    assert curves.plot().axes[0].get_ylabel() == "fall of the probe's score"
    rising = Deletion(np.array([0.0, 0.5]), np.array([[0.0, -0.2]]), np.array([[0.0, 0.1]]), curves.measured)
    assert rising.plot().axes[0].get_ylim()[0] < -0.2  # a score that rises is seen too
    with pytest.raises(ValueError, match="probe must have predict_proba or predict_scores; object has neither"):
        deletion(model, X, kinview.explain(model, X[:60]), probe=object())


def test_deletion_refuses_what_does_not_fit() -> None:
    model, X = known()
    found = kinview.explain(model, X)
    with pytest.raises(ValueError, match=r"the explanation is of samples of shape \(12, 2, 40\), and X has the shape"):
        deletion(model, X[:3], found)
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 3)), index=list("abcdefgh"))
    raw = RawFeatures().fit(table)
    with pytest.raises(ValueError, match="of samples of other names, or in another order"):
        deletion(raw, table[::-1], kinview.explain(raw, table))
    for fractions in ([0.5], [0.1, 0.1], [0.0, 1.2], [0.3, 0.2]):
        with pytest.raises(ValueError, match="fractions must be two or more rising numbers"):
            deletion(model, X, found, fractions=fractions)
    with pytest.raises(ValueError, match="draws must be at least 1"):
        deletion(model, X, found, draws=0)
