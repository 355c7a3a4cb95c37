"""The formats of a report, the files of its figures, and what the command line makes of both."""

import io
import itertools
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from kinview.cli import main
from kinview.evaluation import Report, Store, write_report
from kinview.evaluation.report.document import Table, blocks
from kinview.evaluation.report.files import ENDINGS, format_of, write_figures
from kinview.evaluation.report.html import render_html
from kinview.evaluation.report.latex import as_latex, render_latex
from kinview.evaluation.report.markdown import render_markdown
from test_report import results_frame

EVIL = ['=HYPERLINK("http://x")', "+1+1", "-2+3|cmd", "@SUM(A1)", "\t=1+1"]


@pytest.fixture(scope="module")
def frame():
    return results_frame({f"set {i}": 90 for i in range(6)}, probes=("svm",), seeds=(0, 1))


@pytest.fixture(scope="module")
def report(frame):
    return Report(frame, title="A study")


# --- which format ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("format", "endings"), ENDINGS.items())
def test_every_ending_says_its_format(format, endings):
    for ending in endings:
        assert format_of(f"x{ending}") == format_of(f"x{ending.upper()}", format) == format


def test_what_contradicts_is_refused_before_anything_is_written(frame, tmp_path):
    with pytest.raises(
        ValueError, match=r"format='csv' and the file .*x.parquet contradict: .parquet is parquet; .* \.csv"
    ):
        write_report(frame, tmp_path / "x.parquet", format="csv")
    with pytest.raises(ValueError, match=r"its ending '.pdf'; a report ends in one of: .html, .md, .tex, .csv"):
        write_report(frame, tmp_path / "x.pdf")
    with pytest.raises(ValueError, match=r"format='word' is none of the formats of a report: html"):
        write_report(frame, tmp_path / "x.html", format="word")
    assert not list(tmp_path.iterdir())


# --- cells as data ---------------------------------------------------------------------------------------------------


def test_parquet_and_csv_hold_every_cell(frame, tmp_path):
    parquet = pd.read_parquet(write_report(frame, tmp_path / "x.parquet"))
    pd.testing.assert_frame_equal(parquet, frame, check_dtype=False)
    assert (tmp_path / "x.parquet").read_bytes()[:4] == b"PAR1"
    csv = pd.read_csv(write_report(frame, tmp_path / "x.csv"))
    np.testing.assert_allclose(csv["accuracy"], frame["accuracy"])
    assert csv["method"].tolist() == frame["method"].tolist()


def test_no_text_of_a_csv_file_is_a_formula(frame, tmp_path):
    bad = frame.head(len(EVIL)).assign(message=EVIL, difference=-0.5)
    text = write_report(bad, tmp_path / "x.csv").read_text(encoding="utf-8")
    read = pd.read_csv(io.StringIO(text))
    assert read["message"].tolist() == [f"'{one}" for one in EVIL]
    assert read["difference"].tolist() == [-0.5] * len(EVIL)  # numbers stay numbers


def test_a_workbook_holds_the_tables_and_no_formula(frame, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    bad = frame.assign(dataset=frame["dataset"].replace("set 0", EVIL[0]), message=EVIL[1])
    bad.loc[0, "status"] = "failed"
    book = openpyxl.load_workbook(write_report(bad, tmp_path / "x.xlsx"))
    assert {"Verdicts", "Pairs, time series", "Results, svm", "cells"} <= set(book.sheetnames)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert EVIL[0] in {cell.value for cell in cells} and EVIL[1] in {cell.value for cell in cells}
    rows = list(book["cells"].iter_rows(values_only=True))
    place = rows[0].index("accuracy")
    np.testing.assert_allclose([row[place] for row in rows[1:]], bad["accuracy"])


def test_what_a_page_measures_stands_in_every_document(frame):
    """Differences by condition, wins, realised rates and fits that did not converge are the page's, value by value."""
    report = Report(frame.assign(convergence_failures=np.where(frame["method"] == "raw", 2, 0)))
    tables = {one.name: one for one in blocks(report) if isinstance(one, Table)}
    page = render_html(report)
    ours = [row for row in tables["Paired differences, svm"].rows if row[:3] == ("set 1", "ts2vec", "raw")]
    (row,) = ours
    for label, text in zip(tables["Paired differences, svm"].heads[3:], row[3:], strict=True):
        chosen = frame[(frame["dataset"] == "set 1") & (frame["probe"] == "svm")]
        condition = report.results.conditions.loc[label]
        for name in ("corruption", "label_noise"):
            chosen = chosen[chosen[name].fillna("none") == condition[name]]
        for name in ("severity", "label_noise_rate"):
            chosen = chosen[np.isclose(chosen[name].fillna(0), condition[name])]
        wide = chosen.pivot(index="seed", columns="method", values="accuracy")
        assert text.startswith(f"{(wide['ts2vec'] - wide['raw']).mean():+.3f}")
        assert text.partition(" ")[0][1:] in page
    rates = tables["Realised rates"]
    assert {"train 20.0 %; test 20.0 %"} <= {text for row in rates.rows for text in row}
    convergence = tables["Convergence"].rows
    raw = frame["method"] == "raw"
    assert {row[1] for row in convergence} == {"raw"} and sum(row[3] for row in convergence) == 2 * raw.sum()
    wins = [one for name, one in tables.items() if name.startswith("Wins, ")]
    assert wins and all(row[0] in one.heads for one in wins for row in one.rows)
    text = render_markdown(report)
    assert "## Paired differences" in text and "## Realised rates" in text and "### Matrix of wins: " in text


def test_without_openpyxl_a_workbook_says_what_to_install(frame, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImportError, match=r'package openpyxl.*pip install "kinview\[xlsx\]", or write \.csv'):
        write_report(frame, tmp_path / "x.xlsx")


# --- LaTeX -----------------------------------------------------------------------------------------------------------


def test_latex_shows_text_and_never_obeys_it():
    shown = as_latex("\\input{/etc/passwd} 50 % & #1 $x_i^2$ ~ {é} ☃ \x07")
    assert not re.search(r"(?<!\\)[%&#$_{}](?![^{]*\})", shown.replace("{}", ""))
    assert r"\textbackslash{}input\{/etc/passwd\} 50 \% \& \#1 \$x\_i\textasciicircum{}2\$" in shown
    assert "é" in shown and "☃" not in shown
    evil = "\\end{longtable}\\write18{rm}"
    frame = results_frame({evil: 90}, ["raw", "ts2vec"], ("svm",), (0, 1))
    text = render_latex(Report(frame, benchmark={"name": evil, "x": "\\end{verbatim}"}, title=evil))
    assert "\\write" not in text and "\\end{verbatim}" not in text
    assert text.count("\\begin{longtable}") == text.count("\\end{longtable}") > 2


def test_latex_repeats_the_names_where_a_table_is_too_wide_and_loses_no_column(frame, tmp_path):
    frame = frame[frame["dataset"] == "set 0"]
    wide = pd.concat([
        frame[frame["corruption"].isna() & frame["label_noise"].isna()],
        *(frame[frame["severity"] == 0.2].assign(severity=0.01 * k) for k in range(1, 20)),
    ])  # fmt: skip
    text = write_report(wide, tmp_path / "x.tex").read_text(encoding="utf-8")
    (results,) = [one for one in blocks(Report(wide)) if isinstance(one, Table) and one.name == "Results, svm"]
    for head in results.heads[2:]:
        assert f" {as_latex(head)} " in text.replace("\\\\", " ")
    for table in re.findall(r"\\begin\{longtable\}.*?\\end\{longtable\}", text, flags=re.S):
        lines = [line for line in table.split("\n") if line.endswith("\\\\") and "multicolumn" not in line]
        widths = [float(width) for width in re.findall(r"p\{([\d.]+)cm\}", table.split("\\multicolumn")[0])]
        assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {len(widths)}
        assert sum(widths) + 0.43 * len(widths) <= 26.7  # centimetres between the margins of A4 on its side


LONG = [
    "subgroup(where.site=B, where.sex=['f', 'm'], mechanism.mnar_high.steepness=3)",
    "block(length=0.2, gap_length=0.1, sides=both)",
    "mcar",
]


@pytest.fixture(scope="module")
def long_labels():
    """Ten conditions with long labels."""
    frame = results_frame({"gunpoint": 150, "wine": 54}, probes=("svm",), seeds=(0, 1))
    clean = frame[frame["corruption"].isna() & frame["label_noise"].isna()]
    corrupted = [clean.assign(corruption=kind, severity=r, corrupt="both") for kind in LONG for r in (0.1, 0.2, 0.4)]
    return pd.concat([clean, *corrupted], ignore_index=True)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX")
def test_latex_compiles_and_nothing_runs_off_the_page(long_labels, tmp_path):
    options = {
        "title": "50 % of a_b & #1 ~ ± − x^2 {y} \\z — “é” β",
        "reference": "raw",
        "benchmark": {"name": "x" * 20},
    }
    write_report(long_labels, tmp_path / "x.tex", **options)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"]
    for _ in range(3):  # longtable needs several runs to settle its columns
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in done.stdout
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", done.stdout)]
    assert max(too_wide, default=0) < 20  # within the margin of 43 pt


def test_a_corruption_of_a_subgroup_is_said_in_words(long_labels):
    labels = [label.replace("\xa0", " ") for label in Report(long_labels).results.conditions.index]
    assert "mnar_high(steepness=3) 20 % where site is B and sex is f or m" in labels
    assert "mcar 20 %" in labels and len(set(labels)) == 10
    for text in (render_markdown(Report(long_labels)), render_html(Report(long_labels))):
        assert "where.site" not in text.split("Reproduce")[0]
    alike = long_labels.replace({"corruption": {LONG[0]: "subgroup(where=B)", LONG[1]: "subgroup(where=['B'])"}})
    labels = list(Report(alike).results.conditions.index)
    assert len(set(labels)) == 10 and sum("subgroup(where=" in label for label in labels) == 6  # told apart


def test_a_page_puts_at_most_six_conditions_beside_each_other(long_labels):
    page = render_html(Report(long_labels, reference="raw"))
    found = re.findall(
        r'<table class="(?:results|differences|realised)[^>]*>\s*<thead><tr>(.*?)</tr>', page, flags=re.S
    )
    heads = [re.findall(r"<th[^>]*>(.*?)</th>", head) for head in found]
    assert len(heads) >= 6 and all(2 <= len(head) <= 7 for head in heads)
    results = [head[1:] for head in heads if head[0] == "Method"][:2]
    assert [label for part in results for label in part] == list(Report(long_labels).results.conditions.index)
    assert all(len(set(map(len, re.findall(r"<t[hd]", row)))) == 1 for row in re.findall(r"<tr>.*?</tr>", page))


def test_long_labels_of_figures_stay_within_their_panels(long_labels):
    report = Report(long_labels)
    for name, build in report.figures().items():
        if name.startswith("degradation"):
            figure = build().figure
            figure.draw_without_rendering()
            boxes = [axes.xaxis.label.get_window_extent() for axes in figure.axes]
            assert any("\n" in axes.get_xlabel() for axes in figure.axes)
            for one, other in itertools.combinations(boxes, 2):
                assert not one.overlaps(other)
            assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "figure_format", ["svg", pytest.param("pdf", marks=pytest.mark.slow), pytest.param("png", marks=pytest.mark.slow)]
)
def test_every_figure_of_the_page_is_a_file(report, figure_format, tmp_path):
    names = ["paired_differences", "critical_difference_time_series", "degradation_set 0"]
    some = {name: build for name, build in report.figures().items() if name in names}
    written = write_figures(some, tmp_path / "new", figure_format)
    assert [path.name for path in written] == [f"{name.replace(' ', '-')}.{figure_format}" for name in names]
    begins = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}[figure_format]
    contents = [path.read_bytes() for path in written]
    assert all(content.startswith(begins) for content in contents)
    again = write_figures(some, tmp_path / "again", figure_format)
    assert [path.read_bytes() for path in again] == contents
    if figure_format == "svg":
        text = contents[2].decode()
        assert "#2b66c3" in text and "var(--" not in text and "#0200" not in text  # the colours of the light page
        assert "random_init" in text  # a legend, which the page has beside the figure


def test_figures_have_room_for_names_of_any_length(tmp_path):
    """Layout that collapses is a warning, and warnings are errors."""
    ours = "ts2vec(repr_dim=64, hidden_dim=32, depth=5, mask=continuous, trainer.max_steps=2000, trainer.lr=0.001)"
    control = (
        f"supervised(method.{ours[:-1]}, method.ts2vec.padding=official, method.ts2vec.front_end=values+mask+delta)"
    )
    frame = results_frame({f"set {i}": 90 for i in range(6)}, ["raw", control, ours], ("svm",), (0, 1))
    figures = Report(frame).figures()
    chosen = ["paired_differences", "critical_difference_time_series", "degradation_set 0"]
    assert len(write_figures({name: figures[name] for name in chosen}, tmp_path, "svg")) == 3


def test_figures_of_names_that_files_cannot_tell_apart_are_all_written(tmp_path, report):
    build = report.figures()["paired_differences"]
    written = write_figures({"a b": build, "A?b": build, "../..": build}, tmp_path, "svg")
    assert [path.name for path in written] == ["a-b.svg", "A-b-2.svg", "figure.svg"]
    assert {path.parent for path in written} == {tmp_path}
    with pytest.raises(ValueError, match="figure_format='gif' is none of: pdf, svg, png"):
        report.write_figures(tmp_path, figure_format="gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="it is a file; name a folder"):
        report.write_figures(tmp_path / "file")


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def store(frame, tmp_path):
    found = Store(f"{tmp_path}/results.db")
    columns = ["dataset", "method", "probe", "seed", "accuracy", "modality", "status"]
    clean = frame[frame["corruption"].isna() & frame["label_noise"].isna()]
    for i, row in enumerate(clean[columns].to_dict("records")):
        found.add(str(i), row)
    return ["report", "--store", f"{tmp_path}/results.db"]


def test_the_command_line_writes_each_format(store, tmp_path, capsys):
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("set,ROCKET\n" + "".join(f"Set_{i},{90 + i}\n" for i in range(5)))
    options = ["--published", str(theirs), "--figures", str(tmp_path / "figures"), "--figure_format", "svg"]
    assert main([*store, "--output", str(tmp_path / "x.md"), *options]) == 0
    shown = capsys.readouterr().out
    assert "saved 2 figures in" in shown and len(list((tmp_path / "figures").glob("*.svg"))) == 2
    page = (tmp_path / "x.md").read_text(encoding="utf-8")
    assert "ROCKET (published)" in page and "theirs.csv was read as percent." in page
    assert main([*store, "--format", "latex"]) == 0
    assert capsys.readouterr().out.startswith("\\documentclass")
    assert main([*store, "--csv", str(tmp_path / "x.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "x.csv")) == 36


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "xlsx"], "--format xlsx is no text to print: give --output FILE.xlsx too"),
        (["--output", "x.csv", "--format", "parquet"], "contradict"),
        (["--csv", "x.parquet"], "must end in .csv; --output x.parquet writes Parquet"),
        (["--subgroups", "[sex]"], "--subgroups goes by static columns of a data set"),
    ],
)
def test_the_command_line_refuses_what_contradicts(store, options, said, capsys):
    assert main([*store, *options]) == 2
    assert said in capsys.readouterr().err


def test_long_values_of_a_sweep_do_not_run_into_each_other(long_labels):
    views = ["resample(rate=(0.5, 2.0))", "permutation(max_segments=8, min_width=3)", "jitter", "history_crop(size=3)"]
    series = long_labels[(long_labels["method"] == "ts2vec") & (long_labels["dataset"] == "gunpoint")]
    parts = [
        series.assign(
            method=f"simclr(view={view})", sweeps=json.dumps([{"of": "simclr", "values": {"view": view}}]),
        ) for view in views
    ]  # fmt: skip
    (drawn,) = [build() for name, build in Report(pd.concat(parts)).figures().items() if name.startswith("sweep")]
    drawn.figure.draw_without_rendering()
    (axes,) = drawn.figure.axes
    labels = axes.get_xticklabels()
    assert sorted(label.get_text().replace("\n", " ") for label in labels) == sorted(views)
    for one, other in itertools.combinations(labels, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent())
    assert axes.get_window_extent().height > 0.5 * 2.3 * drawn.figure.dpi  # the curve keeps its room
