"""Series or table: one rule for all who are given data."""

import numpy as np
import pandas as pd
import pytest
import torch

from kinview.data.modality import SERIES, TABLE, check_modality, check_samples, modality_of

WIDE = pd.DataFrame({"age": [1.0, 2.0], "sex": ["f", "m"]})
LONG = WIDE.set_index(pd.MultiIndex.from_tuples([("ann", 0), ("ann", 1)]))
NESTED = pd.DataFrame({"hr": [pd.Series([1.0, 2.0]), pd.Series([3.0])]})


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.zeros((2, 1, 3)), SERIES),
        (torch.zeros(2, 1, 3), SERIES),
        (LONG, SERIES),
        (LONG["age"], SERIES),
        (NESTED, SERIES),
        (NESTED.map(np.asarray), SERIES),
        ([np.zeros(3), np.zeros(2)], SERIES),
        ([WIDE, WIDE], SERIES),
        ([[1.0, 2.0], [3.0]], SERIES),
        ([[[1.0, 2.0]], [[3.0, 4.0]]], SERIES),
        ([], SERIES),
        ([[]], SERIES),
        (np.zeros((2, 3)), TABLE),
        (torch.zeros(2, 3), TABLE),
        (WIDE, TABLE),
        (WIDE.iloc[:0], TABLE),
        (WIDE["age"], TABLE),
        ([[1.0, "f"], [2.0, None]], TABLE),
        (((1.0, 2.0), (3.0, 4.0)), TABLE),
    ],
)
def test_the_container_says_what_the_data_are(X, expected):
    assert modality_of(X) == expected


def test_a_part_that_reads_the_other_modality_is_named():
    for reads in (SERIES, "any", None):
        check_modality("ts2vec", reads, SERIES, "gunpoint")
    with pytest.raises(ValueError, match=r"^scarf reads tables, and gunpoint holds time series$"):
        check_modality("scarf", TABLE, SERIES, "gunpoint")
    with pytest.raises(ValueError, match=r"^walk makes views of embeddings, and X holds tables$"):
        check_modality("walk", "embedding", TABLE, "X", verb="makes views of")


def test_a_frame_of_visits_is_a_table_if_each_has_a_label():
    check_samples("scarf", TABLE, LONG, 2)
    with pytest.raises(ValueError, match=r"reads tables, and X, a DataFrame of shape \(2, 2\), holds time series"):
        check_samples("scarf", TABLE, LONG, 1)
    check_samples("ts2vec", SERIES, np.zeros(3), 3)  # neither: its reader says what it is
    with pytest.raises(ValueError, match=r"X, a ndarray of shape \(3, 4\), holds tables: .*X\[:, None, :\]"):
        check_samples("ts2vec", SERIES, np.zeros((3, 4)), 3)
