"""TransTab: its loss by slow transcription, what it is without the names of columns, several tables and unseen ones."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

import kinview
from helpers import NAN, draw, gen
from kinview import FineTunedClassifier
from kinview.augmentations.column_subsets import partition_bounds
from kinview.data import Batch, TableSchema
from kinview.data.table import OtherColumnsError
from kinview.losses import partition_contrast
from kinview.methods import SCARF, TransTab, TransTabMethod
from kinview.methods.transtab.words import ColumnWords, words_of
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

SMALL: dict[str, Any] = {
    "repr_dim": 8, "depth": 1, "heads": 2, "hidden_dim": 8, "projection_dim": 6, "vocabulary": 512, "random_state": 0,
}  # fmt: skip
SHORT = {"max_steps": 2, "validation_fraction": 0.0}


def ward(n: int = 20, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.normal(50, 10, n),
            "heart_rate": random.normal(70, 8, n),
            "sex": random.choice(np.array(["f", "m"]), n),
            "smoker": random.random(n) < 0.4,
        }
    )
    frame.loc[0, "age"] = NAN
    frame.loc[1, "sex"] = None
    return frame


def clinic(n: int = 15, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "heart rate": random.normal(75, 8, n),
            "department": random.choice(np.array(["eye", "ear", "skin"]), n),
            "days": random.poisson(4, n).astype(float),
        }
    )


def built(*tables: pd.DataFrame, **parameters: Any) -> tuple[TransTabMethod, Batch]:
    """The untrained method in float64, and the rows of all tables as it gets them."""
    model = TransTab(**{**SMALL, **parameters})
    model._fit_or_initialise(list(tables), None, None, None, train=False)
    batch = model._joined(tables, [None] * len(tables), [None] * len(tables), False)
    return model.method_.double().train(), batch.replace(x=batch.x.double())


def contrast_slowly(views: list[Any], temperature: float, labels: Any = None) -> float:
    rows = [row for view in views for row in view]
    own = list(range(len(views[0]))) if labels is None else list(labels)
    classes = own * len(views)
    total, anchors = 0.0, 0
    for i, row in enumerate(rows):
        weights = {k: math.exp(float(row @ other) / temperature) for k, other in enumerate(rows) if k != i}
        positives = [k for k in weights if classes[k] == classes[i]]
        if positives:
            anchors += 1
            total -= sum(math.log(weights[p] / sum(weights.values())) for p in positives) / len(positives)
    return total / max(1, anchors)


def gradient(method: TransTabMethod, views: list[Batch]) -> tuple[float, Tensor]:
    loss = method.loss(views).loss
    slopes = torch.autograd.grad(loss, list(method.encoder.layers.parameters()))
    return loss.item(), torch.cat([slope.flatten() for slope in slopes])


# --- the loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [None, [0, 1, 0, 2, 1]])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_contrast_is_the_papers(count: int, labels: Any) -> None:
    views = [draw(5, 4, seed=k) for k in range(count)]
    given = None if labels is None else torch.tensor(labels)
    expected = contrast_slowly([view.numpy() for view in views], 2.0, labels)
    leaves = [view.clone().requires_grad_() for view in views]
    value = partition_contrast(leaves, 2.0, labels=given)
    assert value.item() == pytest.approx(expected, abs=1e-12)
    value.backward()
    assert all(bool(torch.isfinite(leaf.grad).all()) for leaf in leaves)
    assert value.item() > 0 or (count == 1 and labels is None)  # no positive: nothing to learn, and no division by zero


def test_tables_are_contrasted_apart_and_weighed_by_their_rows() -> None:
    method, batch = built(ward(), clinic(), temperature=1.5)
    views = method.views(batch, gen(), 0.0)
    assert [len(view) for view in views] == [35, 35, 35]
    expected = 0.0
    for where, table in ((slice(0, 20), 0), (slice(20, 35), 1)):
        made = [method.projector(method._encoded(view.rows(where), table)).detach().numpy() for view in views]
        expected += contrast_slowly(made, 1.5) * len(made[0]) / 35
    assert method.loss(views).loss.item() == pytest.approx(expected, abs=1e-12)


def test_each_view_shows_a_partition() -> None:
    method, batch = built(ward(), clinic(), overlap=0.0)
    views = method.views(batch, gen(), 0.0)
    shown = torch.stack([~view.x.isnan() for view in views])
    assert torch.equal(shown.any(dim=0), ~batch.x.isnan()) and int(shown.sum(dim=0).max()) == 1
    assert shown[:, 34].nonzero().tolist() == [[0, 0], [1, 1], [2, 2]]  # three columns, three partitions
    shuffled, _ = built(ward(), clinic(), overlap=0.0, shuffle=True)
    orders = {str((~shuffled.views(batch, gen(k), 0.0)[0].x.isnan())[2].tolist()) for k in range(8)}
    assert len(orders) > 1


@pytest.mark.parametrize(
    ("columns", "partitions", "overlap", "bounds"),
    [
        (8, 2, 0.1, [(0, 5), (3, 8)]),
        (10, 3, 0.5, [(0, 6), (4, 9), (5, 10)]),
        (2, 3, 0.5, [(0, 2), (0, 2)]),
        (4, 2, 0.0, [(0, 2), (2, 4)]),
    ],
)
def test_partitions_reach_into_the_next(columns: int, partitions: int, overlap: float, bounds: Any) -> None:
    assert partition_bounds(columns, partitions, overlap) == bounds


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_tokens_are_what_cells_say() -> None:
    frame = pd.DataFrame(
        {"heart rate": [1.0, 3.0] * 5, "well": [True, False] * 5, "eye colour": ["dark blue", None] * 5}
    )
    schema = TableSchema.fit(frame)
    words = ColumnWords.of(schema, 512)
    with forked_generators(0, torch.device("cpu")):
        method = TransTabMethod(TransTab(**SMALL), Sizes(cardinalities=schema.cardinalities)).double()
    cells = method.encoder.tokens
    tokens, there = cells(schema.to_batch(frame).x[:2].double(), words)

    def token(word: str, factor: float = 1.0) -> Tensor:
        return cells.norm(cells.words(torch.tensor(words_of(word, 512)[0]))) * factor

    number = (token("heart") + token("rate")) / 2
    expected = [-number + cells.bias, token("well"), token("eye"), token("colour"), token("dark"), token("blue")]
    torch.testing.assert_close(tokens[0], cells.align(torch.stack(expected)), rtol=0, atol=1e-12)
    torch.testing.assert_close(tokens[1, 0], cells.align(number + cells.bias), rtol=0, atol=1e-12)
    assert there.tolist() == [[True] * 6, [True] + [False] * 5]  # false and missing say nothing


# --- without the names -----------------------------------------------------------------------------------------------


def test_without_its_names_it_is_another_loss() -> None:
    found = []
    for vocabulary in (512, 1):  # one number for all words
        method, batch = built(ward(), clinic(), vocabulary=vocabulary, temperature=0.2)
        found.append(gradient(method, method.views(batch, gen(), 0.0)))
    assert found[0][0] != pytest.approx(found[1][0], rel=1e-3)
    assert not torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


def test_names_and_not_places_are_read() -> None:
    X = ward()[["age", "heart_rate"]].fillna(50.0)
    swapped = X.rename(columns={"age": "heart_rate", "heart_rate": "age"})
    for vocabulary, told_apart in ((512, True), (1, False)):
        model = TransTab(**{**SMALL, "vocabulary": vocabulary}).initialise(X)
        one, other = model.adapt(X).transform(X), model.adapt(swapped).transform(swapped)
        assert np.allclose(one, other, atol=1e-6) != told_apart


def factors(n: int, seed: int) -> pd.DataFrame:
    """Three times the same two numbers of a row, each time beside two that say nothing."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(n, 2))
    columns = {}
    for part in ("left", "mid", "right"):
        columns |= {f"{part} a": hidden[:, 0], f"{part} b": hidden[:, 1]}
        columns |= {f"{part} noise {i}": random.normal(size=n) for i in ("x", "y")}
    return pd.DataFrame(columns)


@pytest.mark.slow
def test_300_steps_find_partitions_by_their_names() -> None:
    found = []
    for vocabulary in (512, 1):
        sizes = {**SMALL, "repr_dim": 16, "hidden_dim": 16, "projection_dim": 8, "vocabulary": vocabulary}
        training = {"max_steps": 300, "max_epochs": 1000, "lr": 1e-2, "batch_size": 16, "validation_fraction": 0.0}
        model = TransTab(**sizes, overlap=0.0, temperature=1.0, trainer=training).fit(factors(128, 0))
        views = model.method_.views(model.to_batch(factors(32, 1)), gen(), 1.0)
        with torch.no_grad():
            found.append(model.method_.loss(views).loss.item())
    assert found[0] < 0.8 * found[1] < math.log(3 * 32 - 1)  # chance


# --- several tables, and others --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted() -> TransTab:
    return TransTab(**SMALL, trainer=SHORT).fit([ward(), clinic()])


def test_rows_of_each_table_are_found_by_their_columns(fitted: TransTab) -> None:
    assert fitted.transform(ward()).shape == (20, 8) and fitted.transform(clinic()).shape == (15, 8)
    turned = clinic()[["days", "heart rate", "department"]]
    np.testing.assert_array_equal(fitted.transform(turned), fitted.transform(clinic()))
    mixed = fitted._joined([ward(), clinic()], [None] * 2, [None] * 2, False)
    order = torch.randperm(35, generator=gen())
    with torch.no_grad():
        whole = fitted.method_.embed(mixed.rows(order))
    apart = np.concatenate([fitted.transform(ward()), fitted.transform(clinic())])
    np.testing.assert_allclose(whole.numpy(), apart[order.numpy()], atol=1e-5)


def test_unseen_columns_are_refused_and_adapted_to(fitted: TransTab) -> None:
    other = clinic().rename(columns={"days": "weeks"}).assign(age=50.0)
    with pytest.raises(ValueError, match=r"model.adapt\(X_train\)"):
        fitted.transform(other)
    twin = fitted.adapt(other)
    assert np.isfinite(twin.transform(other)).all() and twin.transform(other).shape == (15, 8)
    assert fitted.schema_.names == tuple(ward().columns)  # the original stays
    for name, value in fitted.method_.state_dict().items():
        assert torch.equal(value, twin.method_.state_dict()[name])
    np.testing.assert_array_equal(fitted.adapt(ward()).transform(ward()), fitted.transform(ward()))


def test_only_other_columns_are_answered_with_how_to_adapt() -> None:
    """Whatever the columns are called: the message of another fault may hold any words."""
    table = ward().rename(columns={"age": "column(s)"})
    model = TransTab(**{**SMALL, "trainer": {"max_steps": 1}}).fit(table)
    with pytest.raises(OtherColumnsError, match=r"lacks the column\(s\).*model.adapt\(X_train\)"):
        model.transform(table.drop(columns="column(s)"))
    with pytest.raises(ValueError, match=r"column\(s\)") as found:
        model.transform(table.assign(**{"column(s)": "old"}))
    assert "model.adapt" not in str(found.value)


def test_labels_train_it_on_with_another_table(fitted: TransTab) -> None:
    other = clinic(24).assign(age=np.linspace(30, 80, 24))
    y = np.repeat(["no", "yes"], 12)
    classifier = FineTunedClassifier(fitted, transfer=True, trainer={"max_epochs": 5, "lr": 0.01}, random_state=0)
    assert classifier.fit(other, y).predict_proba(other).shape == (24, 2)
    assert classifier.encoder_.transform(other).shape == (24, 8)
    scarf = SCARF(hidden_dim=4, depth=1, trainer=SHORT).fit(ward())
    with pytest.raises(ValueError, match="read the names of columns, such as TransTab"):
        FineTunedClassifier(scarf, transfer=True).fit(other, y)


@pytest.mark.parametrize("tables", [1, 2])
def test_it_is_saved_with_all_its_tables_and_without_a_row(tables: int, tmp_path: Path) -> None:
    frames = [ward(), clinic()][:tables]
    model = TransTab(**SMALL, trainer=SHORT).fit(frames if tables > 1 else frames[0])
    path = model.save(tmp_path / "model.safetensors")
    with safe_open(path, "pt") as file:
        assert all(key.startswith("encoder.") or "encoder." in key for key in file.keys())  # noqa: SIM118 (a file)
    for again in (kinview.load_model(path), pickle.loads(pickle.dumps(model))):
        assert len(again.schemas_) == tables
        for frame in frames:
            np.testing.assert_array_equal(again.transform(frame), model.transform(frame))


def test_supervised_it_needs_labels_of_each_table() -> None:
    model = TransTab(**SMALL, supervised=True, trainer=SHORT)
    tables, y = [ward(), clinic()], [np.arange(20) % 2, np.array(list("abc") * 5)]
    with pytest.raises(ValueError, match="uses the label of each row"):
        model.fit(tables)
    with pytest.raises(ValueError, match="y must be a sequence of 2 arrays"):
        model.fit(tables, np.arange(35))
    assert model.fit(tables, y).training_.step == 2
    plain = TransTab(**SMALL, trainer=SHORT).fit(tables, y)
    assert not np.allclose(plain.transform(ward()), model.transform(ward()))
    index = [pd.Series(labels, index=table.index)[::-1] for table, labels in zip(tables, y, strict=True)]
    np.testing.assert_array_equal(model.transform(ward()), model.fit(tables, index).transform(ward()))


def test_groups_of_two_tables_are_never_the_same() -> None:
    model = TransTab(**SMALL, trainer={"max_steps": 2, "validation_fraction": 0.3})
    model.initialise(ward())
    model.further_schemas_ = (TableSchema.fit(clinic()),)
    joined = model._joined([ward(), clinic()], [None] * 2, [np.arange(20) // 2, np.arange(15) // 3], False)
    assert not set(joined.groups[:20].tolist()) & set(joined.groups[20:].tolist())
    assert model.fit([ward(), clinic()], groups=[np.arange(20) // 2, np.arange(15) // 3]).training_.step == 2


@pytest.mark.parametrize(
    ("X", "extra", "message"),
    [
        ([ward(), ward()], None, "two of the tables have the same columns"),
        ([ward(), clinic()], {"features": np.zeros((35, 1))}, "extra goes with the rows of one table"),
    ],
)
def test_tables_that_cannot_be_fitted_together_are_refused(X: Any, extra: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransTab(**SMALL, trainer=SHORT).fit(X, extra=extra)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"n_partitions": 1}, "n_partitions"), ({"heads": 3}, "heads=3 must divide"), ({"overlap": 2.0}, "overlap")],
)
def test_parameters_that_cannot_be_are_refused(changed: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransTab(**{**SMALL, **changed}, trainer=SHORT).fit(ward())


def test_one_column_is_embedded_and_not_trained_on() -> None:
    with pytest.warns(
        UserWarning, match="keeps its initial weights: contrast of partitions needs at least two columns"
    ):
        model = TransTab(**SMALL, trainer=SHORT).fit(ward()[["heart_rate"]])
    assert np.isfinite(model.transform(ward()[["heart_rate"]])).all()
    both = TransTab(**SMALL, trainer=SHORT).fit([ward(), clinic()[["days"]]])  # one of them has something to contrast
    assert both.training_.step == 2 and both.transform(clinic()[["days"]]).shape == (15, 8)


# --- faults that were found ------------------------------------------------------------------------------------------


def test_categories_that_differ_in_signs_or_capitals_alone_are_told_apart() -> None:
    texts = ["A+", "A-", "B+", "<=50K", ">50K", "f", "F"]
    rows = pd.DataFrame({"x": np.repeat(texts, 6)})
    words = ColumnWords.of(TableSchema.fit(rows), 10**6).category_words
    assert len({tuple(row) for row in words.tolist()}) == len(texts) + 1  # and those never seen
    model = TransTab(**SMALL, trainer=SHORT).fit(rows.assign(age=np.arange(42.0)))
    z = model.transform(pd.DataFrame({"x": ["A+", "A-"], "age": [3.0, 3.0]}))
    assert not np.allclose(z[0], z[1])


@pytest.mark.parametrize(
    ("text", "words"), [("Größe", 1), ("âge", 1), ("HbA1c", 4), ("heartRate", 2), ("HTTPServer", 2)]
)
def test_letters_of_any_alphabet_make_words(text: str, words: int) -> None:
    assert len(words_of(text, 1000)) == words and words_of(text.upper(), 1000)[:1] == words_of(text.upper(), 1000)[:1]


def test_several_tables_are_watched_with_their_labels_and_a_failed_fit_leaves_none() -> None:
    a, b = ward(), clinic()
    ya, yb = np.arange(len(a)) % 2, np.arange(len(b)) % 2
    watched = {"max_steps": 2, "callbacks": ["probe"]}
    model = TransTab(**SMALL, trainer=watched).fit([a, b], [ya, yb])
    assert model.training_ is not None and "knn_accuracy" in model.training_.history[-1]
    model = TransTab(**SMALL, supervised=True, trainer=watched)
    with pytest.raises(ValueError, match="y is missing for 1 of"):
        model.fit(a, np.where(np.arange(len(a)) == 0, np.nan, ya))
    with pytest.raises(ValueError, match="needs a label of each sample"):
        model.set_params(supervised=False).fit(a)


def test_one_table_is_embedded_at_a_time() -> None:
    model = TransTab(**SMALL, trainer=SHORT).fit([ward(), clinic()])
    with pytest.raises(ValueError, match="one table is embedded at a time; got a list of 2"):
        model.transform([ward(), clinic()])


def test_the_corruption_of_a_classifier_knows_the_columns_of_its_own_table() -> None:
    a, b = ward(), clinic()
    model = TransTab(**SMALL, trainer=SHORT).fit([a, b])
    assert [model.schema_of(model.to_batch(table)).names for table in (a, b)] == [
        schema.names for schema in model.schemas_
    ]
