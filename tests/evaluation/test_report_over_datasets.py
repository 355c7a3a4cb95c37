"""What the report says over data sets: verdicts, the reference, folds; and the same tables as Markdown."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kinview.cli import main
from kinview.evaluation import MCAR, Report, Store, holm, paired_difference_over_datasets, write_report
from kinview.evaluation.report import format_table
from kinview.evaluation.report.all_methods import compare_all
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.html import render_report
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.report.over_datasets import find_reference
from kinview.evaluation.report.sections import comparison, facts, notices
from kinview.evaluation.report.verdicts import verdicts
from test_report import CONDITIONS, Page, results_frame

SETS = {f"set {i}": 300 for i in range(8)}


@pytest.fixture(scope="module")
def frame():
    return results_frame(SETS, probes=("linear", "svm"), seeds=(0, 1))


def verdict_of(frame, method, control):
    rows = comparison(read_results(frame), "accuracy")["verdicts"]
    return next(row for row in rows if (row["method"], row["control"]) == (method, control))


def test_the_verdict_is_of_the_differences_over_data_sets(frame):
    row = verdict_of(frame, "ts2vec", "raw")
    means = frame.groupby(["method", "dataset"])["accuracy"].mean()
    test = stats.wilcoxon(means["ts2vec"], means["raw"])
    assert row["p"] == pytest.approx(test.pvalue)
    assert row["difference"] == pytest.approx((means["ts2vec"] - means["raw"]).mean())
    other = stats.wilcoxon(means["ts2vec"], means["random_init"]).pvalue
    assert row["p_holm"] == pytest.approx(holm([row["p"], other])[0], rel=1e-6)
    assert row["words"] == "is worse than raw" and row["state"] == "bad"


def test_a_small_gain_on_every_data_set_beats_although_no_single_comparison_does():
    """An interval above zero used to stand beside 'not shown to beat'."""
    random = np.random.default_rng(0)
    rows = [
        {"dataset": f"d{d}", "method": m, "probe": "svm", "seed": s, "accuracy": 0.8 + gain + random.normal(0, 0.03)}
        for d in range(30) for s in range(2) for m, gain in (("raw", 0.0), ("scarf", 0.03))
    ]  # fmt: skip
    row = verdict_of(pd.DataFrame(rows), "scarf", "raw")
    found = pd.DataFrame(comparison(read_results(pd.DataFrame(rows)), "accuracy")["lookup"].values())
    assert row["low"] > 0 and (found["verdict"] == "better").mean() < 0.5
    assert row["words"] == "beats raw" and row["better"] > 0.9
    assert "scarf beats every one of its controls" in format_table(pd.DataFrame(rows))


def test_a_seed_that_is_planted_again_moves_no_verdict(frame):
    again = pd.concat([frame, *(frame.assign(seed=frame["seed"] + 10 * k) for k in (1, 2, 3))])
    for control in ("raw", "random_init"):
        one, many = verdict_of(frame, "ts2vec", control), verdict_of(again, "ts2vec", control)
        assert many["p_holm"] == pytest.approx(one["p_holm"], rel=1e-9)
        assert many["words"] == one["words"]
        assert [many[name] for name in ("better", "equivalent", "worse")] == pytest.approx(
            [one[name] for name in ("better", "equivalent", "worse")]
        )
    (one,), (many,) = (compare_all(read_results(f), "accuracy") for f in (frame, again))
    assert many.found.pairs["p_holm"].tolist() == one.found.pairs["p_holm"].tolist()
    assert many.found.friedman == one.found.friedman and many.found.cliques == one.found.cliques


def test_a_control_with_a_probe_of_its_own_stands_in_the_verdict_of_every_probe(frame):
    own = frame[(frame["method"] == "raw") & (frame["probe"] == "svm")].assign(method="minirocket", probe="ridge")
    own = own.assign(method_config='"minirocket"', own_probe=1)
    both = pd.concat([frame, own])
    lines = format_table(both, probe="svm", width=300).split("\n")
    assert any(line.startswith("ts2vec is worse than minirocket (") for line in lines)
    wanted = verdict_of(frame[frame["probe"] == "svm"], "ts2vec", "raw")
    found = next(
        row
        for row in verdicts(read_results(both), "accuracy", probes=["svm"])
        if (row["method"], row["control"]) == ("ts2vec", "minirocket")
    )
    assert (found["p"], found["difference"]) == pytest.approx((wanted["p"], wanted["difference"]))
    (compared,) = compare_all(read_results(both), "accuracy")
    assert set(compared.found.ranks.index) == {"raw", "random_init", "ts2vec", "minirocket"}


def test_few_data_sets_are_not_tested(frame):
    few = frame[frame["dataset"].isin([f"set {i}" for i in range(5)])]
    assert verdict_of(few, "ts2vec", "raw")["words"] == "is not testable against raw"
    assert "is not testable against raw" in format_table(few)
    assert "beats every one" not in format_table(few)
    page = Page(render_report(few)).text
    assert "Not testable: 5 data sets" in page and "Critical-difference diagram" not in page
    values = few.groupby(["method", "dataset"])["accuracy"].mean()
    for name in few["dataset"].unique():
        own, control = values["ts2vec", name], values["raw", name]
        assert re.search(rf"ts2vec raw {name} {own:.3f} {control:.3f} [\N{{MINUS SIGN}}+]?\d\.\d{{3}} ", page)


def test_a_condition_that_tables_cannot_have_is_not_lacking():
    both = results_frame({"gunpoint": 150, "wine": 54})
    blocks = results_frame({"gunpoint": 150})
    blocks = blocks[blocks["corruption"].notna()].assign(corruption="block")
    frame = pd.concat([both, blocks])
    assert not any("have no result" in notice for notice in notices(read_results(frame), "accuracy"))
    assert any("have no result" in notice for notice in notices(read_results(frame.iloc[:-3]), "accuracy"))


def test_a_mechanism_that_needs_the_labels_is_said_to(frame, monkeypatch):
    assert not any("depends on the labels" in notice for notice in notices(read_results(frame), "accuracy"))
    monkeypatch.setattr(MCAR, "needs", frozenset({"y"}))
    found = [notice for notice in notices(read_results(frame), "accuracy") if "depends on the labels" in notice]
    assert len(found) == 1 and found[0].startswith("What mcar removes")


# --- a reference -----------------------------------------------------------------------------------------------------


def test_every_method_and_probe_stands_against_the_reference(frame):
    found = paired_difference_over_datasets(frame, ("raw", "svm"))
    page = Page(render_report(frame, reference="raw/svm"))
    assert "Over data sets, against raw with the probe svm" in page.text
    table = format_table(frame, reference="raw/svm", width=200)
    markdown = render_markdown(Report(frame, reference="raw/svm"))
    assert len(found) == 5 * len(CONDITIONS)
    for row in found.to_dict("records"):
        interval = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        assert interval in table and interval in markdown
        assert f"{row['wins']} / {row['ties']} / {row['losses']}" in page.text
        assert re.search(rf"{row['method']} +{row['probe']} +8 +{row['mean']:.3f} ", table)
    assert re.search(r"raw +svm +8 +\d\.\d{3} +reference", table)


def test_a_reference_without_a_probe_is_compared_under_each(frame):
    table = format_table(frame, reference="raw", width=200)
    assert re.search(r"raw +linear +8 +\S+ +reference", table) and re.search(r"raw +svm +8 +\S+ +reference", table)


def test_a_reference_is_found_by_its_label_or_a_name_that_one_has(frame):
    wide = results_frame(
        SETS, ["raw", "ts2vec(repr_dim=64)", "ts2vec(trainer.max_steps=9)"], ("svm", "svm(max_rows=9)")
    )
    results = read_results(wide)
    assert find_reference(results, "raw") == ("raw", None)
    assert find_reference(results, "ts2vec(repr_dim=64)/svm(max_rows=9)") == ("ts2vec(repr_dim=64)", "svm(max_rows=9)")
    with pytest.raises(ValueError, match=r"reference='ts2vec/svm' names 2 of the methods; .*: ts2vec\(repr_dim=64\), "):
        find_reference(results, "ts2vec/svm")
    with pytest.raises(ValueError, match=r"reference='pca' has no method of these results; .*: raw, ts2vec"):
        find_reference(results, "pca")
    with pytest.raises(ValueError, match=r"reference='raw/ridge' has no probe of these results; .*: svm"):
        find_reference(results, "raw/ridge")


# --- folds -----------------------------------------------------------------------------------------------------------


def folded(frame):
    parts = [frame.assign(fold=fold, split="stratified_kfold(folds=2)") for fold in range(2)]
    parts[1]["accuracy"] += 0.01
    return pd.concat(parts, ignore_index=True)


def test_folds_are_counted_and_averaged(frame):
    results = read_results(folded(frame))
    assert results.folds == (0, 1) and results.repetitions == "2 seeds and 2 folds"
    assert ("2", "folds") in facts(results)
    assert not any("no result" in notice for notice in notices(results, "accuracy"))
    page = render_report(folded(frame))
    assert "mean ± standard deviation over 2 seeds and 2 folds" in page and " n=" not in page
    assert "mean ± std over 2 seeds and 2 folds" in format_table(folded(frame))
    lookup = comparison(results, "accuracy")["lookup"]
    plain = comparison(read_results(frame), "accuracy")["lookup"]
    assert {row["n"] for row in lookup.values()} == {2}
    for key, row in lookup.items():
        assert (row["difference"], row["low"]) == pytest.approx(
            (plain[key]["difference"], plain[key]["low"]), nan_ok=True
        )


def test_results_of_several_splits_are_not_mixed(frame):
    with pytest.raises(ValueError, match=r"of several splits, .*: official, stratified_kfold\(folds=2\)"):
        read_results(pd.concat([frame, folded(frame)]))


# --- Markdown --------------------------------------------------------------------------------------------------------


def tables_of(markdown):
    """Rows of each table; every row of a table has the cells of its head."""
    found, open_ = [], False
    for line in markdown.split("\n"):
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            if not open_:
                found.append([])
            found[-1].append([cell.strip() for cell in cells])
        open_ = line.startswith("|")
    for table in found:
        assert len({len(row) for row in table}) == 1
    return found


def test_markdown_holds_the_main_tables(frame, tmp_path):
    path = write_report(frame, tmp_path / "page.md", benchmark={"name": "study", "seeds": [0, 1]}, reference="raw/svm")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Benchmark study\n") and text.endswith("\n") and not text.endswith("\n\n")
    assert "```yaml\nname: study" in text and "torch 2.13.0" in text
    tables = tables_of(text)
    assert tables[0][0][:3] == ["method", "verdict", "data sets"]
    assert any("is worse than raw" in row for row in tables[0])
    shown = [table for table in tables if table[0][:2] == ["data set", "method"]]
    results, differences = ([table for table in shown if (table[0][2] == "minus") == minus] for minus in (False, True))
    assert [len(table) for table in differences] == [2 + 2 * len(SETS)] * len(results)  # of ts2vec to two controls
    assert len(results) == 2 and len(results[0]) == 2 + 3 * (len(SETS) + 1)  # with the mean over data sets
    mean = frame[(frame["dataset"] == "set 3") & (frame["method"] == "raw") & (frame["probe"] == "linear")]
    clean = mean[mean["corruption"].isna() & mean["label_noise"].isna()]["accuracy"]
    assert any(row[0] == "set 3" and f"{clean.mean():.3f} ± {clean.std():.3f}" in row[2] for row in results[0])


def test_markdown_shows_names_and_never_obeys_them():
    frame = results_frame({"a|b": 99, "<b>`x`": 99}, ["raw", "ts2vec"], ("svm",), (0,))
    frame["status"] = "ok"
    frame.loc[0, ["status", "message", "accuracy"]] = ["failed", "one\n## two | three", None]
    text = render_markdown(Report(frame, title="T|<i>"))
    tables_of(text)
    assert "\n## two" not in text and "a\\|b" in text and "\\<b>\\`x\\`" in text and text.startswith("# T\\|\\<i>\n")


def test_the_command_line_writes_markdown_and_compares(frame, tmp_path, capsys):
    store = Store(f"{tmp_path}/results.db")
    columns = ["dataset", "method", "probe", "seed", "accuracy", "modality", "status", "corruption", "severity"]
    columns += ["corrupt", "label_noise", "label_noise_rate"]
    for i, row in enumerate(frame[columns].to_dict("records")[:200]):
        store.add(str(i), {name: None if pd.isna(value) else value for name, value in row.items()})
    options = ["report", "--store", f"{tmp_path}/results.db", "--reference", "raw/svm"]
    assert main([*options, "--output", str(tmp_path / "page.md")]) == 0
    shown = capsys.readouterr().out
    assert "accuracy over data sets, paired with raw with the probe svm" in shown and "win/tie/loss" in shown
    assert "fewer than 6 data sets" in shown
    assert "## Over data sets, against raw with the probe svm" in (tmp_path / "page.md").read_text(encoding="utf-8")
    assert main([*options[:-1], "raw/none"]) == 2
    assert "has no probe of these results" in capsys.readouterr().err
