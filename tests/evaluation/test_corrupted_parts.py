"""Which part of the data is corrupted: one, several in turn, or each severity of one with each of the other."""

import itertools

import pandas as pd
import pytest

from kinview.evaluation import Benchmark, Store, run, write_report
from kinview.evaluation.benchmark.steps import Chain
from kinview.evaluation.report import Report
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.report.shift_matrix import shift_matrices
from kinview.evaluation.statistics import normalise_conditions

PLAN = {"name": "shift", "datasets": ["gunpoint"], "methods": ["raw"], "controls": "none", "corruptions": ["mcar"]}


def benchmark(**changes):
    return Benchmark.from_config({**PLAN, "severities": [0.2, 0.4], **changes})


def places(cells):
    return [(cell.corrupt, cell.severity, cell.severity_test) for cell in cells]


@pytest.mark.parametrize("corrupt", ["train", "test", "both"])
def test_one_part_by_its_word_or_as_a_list_of_one_is_the_same_cells(corrupt):
    cells = benchmark(corrupt=corrupt).cells()
    assert [cell.key for cell in cells] == [cell.key for cell in benchmark(corrupt=[corrupt]).cells()]
    assert places(cells) == [(None, 0.0, None), (corrupt, 0.2, None), (corrupt, 0.4, None)]
    assert all("severity_test" not in cell.spec for cell in cells)  # the specs, and so the keys, of before


def test_several_parts_are_the_cells_of_each_in_turn():
    each = {key: None for part in ("train", "test", "both") for key in (c.key for c in benchmark(corrupt=part).cells())}
    assert [cell.key for cell in benchmark(corrupt=["train", "test", "both"]).cells()] == list(each)
    assert benchmark(corrupt=("test",)).corrupt == "test"


def test_a_shift_matrix_has_each_pair_once_and_shares_the_cells_of_one_rate():
    cells = benchmark(shift_matrix=True, pretrain_on="clean").cells()
    rates = {(cell.corruption_of("train") or (0, 0))[1]: 0 for cell in cells}
    pairs = [tuple((cell.corruption_of(part) or (0, 0.0))[1] for part in ("train", "test")) for cell in cells]
    assert sorted(pairs) == sorted(itertools.product(rates, repeat=2)) and len(pairs) == 9
    known = {
        cell.key for part in ("train", "test", "both") for cell in benchmark(corrupt=part, pretrain_on="clean").cells()
    }
    assert len(known & {cell.key for cell in cells}) == 7 and len({cell.key for cell in cells}) == 9
    assert len({cell.embed_key("test") for cell in cells}) == len({cell.embed_key("train") for cell in cells}) == 3


def test_each_part_has_the_rate_that_its_cell_says_and_a_fitted_model_that_of_training(tmp_path):
    cells = benchmark(shift_matrix=True).cells()
    (cell,) = (cell for cell in cells if (cell.severity, cell.severity_test) == (0.2, 0.4))
    chain = Chain(cell, None, tmp_path)
    assert [chain.data(part, cell.corruption_of(part)).realised for part in ("train", "test")] == pytest.approx(
        [0.2, 0.4], abs=1e-4
    )
    assert cell.pretrain_corruption == ("mcar", 0.2)
    (same,) = (
        other for other in cells if other.severity == 0.2 and other.corrupt == "both" and not other.severity_test
    )
    assert same.pretrain_key == cell.pretrain_key and same.embed_key("test") != cell.embed_key("test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corrupt": "tests"}, "corrupt must be one of train, test, both, or a list of these"),
        ({"corrupt": []}, "corrupt must be one of"),
        ({"corrupt": ["test", "test"]}, "each once"),
        ({"corrupt": 3}, "corrupt must be one of"),
        ({"corrupt": ["test"], "shift_matrix": True}, "corrupt=.* has nothing to say"),
        ({"shift_matrix": "yes"}, "shift_matrix must be true or false"),
    ],
)
def test_what_names_no_part_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        benchmark(**changes)


def test_a_condition_says_what_the_test_part_has():
    frame = pd.DataFrame(
        {
            "corruption": ["mcar"] * 4 + [None],
            "severity": [0.2] * 4 + [None],
            "severity_test": [None, None, None, 0.4, None],
            "corrupt": ["both", "test", "train", "both", None],
        }
    )
    assert normalise_conditions(frame)["severity_test"].tolist() == [0.2, 0.2, 0.0, 0.4, 0.0]
    assert normalise_conditions(frame.drop(columns="severity_test"))["severity_test"].tolist() == [
        0.2,
        0.2,
        0.0,
        0.2,
        0.0,
    ]


def test_the_report_shows_train_rate_by_test_rate(tmp_path):
    asked = benchmark(shift_matrix=True, severities=[0.3, 0.6], methods=["raw", "summary"], seeds=[0, 1])
    frame = run(asked, Store(f"sqlite:///{tmp_path}/r.db"), cache_dir=tmp_path, progress=False)
    assert len(frame) == 36 and (frame["status"] == "ok").all()
    results = read_results(frame)
    assert (
        results.replaced == 0
        and "missing 30\N{NO-BREAK SPACE}%, test 60\N{NO-BREAK SPACE}%" in results.conditions.index
    )
    (table,) = shift_matrices(results, "accuracy")
    assert [rate.split("\N{NO-BREAK SPACE}")[0] for rate in table["rates"]] == ["0", "30", "60"]
    assert [len(row["cells"]) for row in table["rows"]] == [3] * 6
    assert [cell["same"] for row in table["rows"][:3] for cell in row["cells"]] == [True, *[False] * 3] * 2 + [True]
    off = frame[(frame["method"] == "raw") & (frame["severity"] == 0.3) & (frame["severity_test"] == 0.6)]["accuracy"]
    assert table["rows"][1]["cells"][2]["text"] == f"{off.mean():.3f} ± {off.std():.3f}"
    page = write_report(frame, tmp_path / "report.html", benchmark=asked).read_text(encoding="utf-8")
    assert 'id="shift-of-rates"' in page and "shift_matrix: true" in page
    assert "## Shift of rates" in render_markdown(Report(frame))
    one = frame[frame["severity_test"].isna()]
    assert shift_matrices(read_results(one), "accuracy") == [] and "Shift of rates" not in render_markdown(Report(one))
