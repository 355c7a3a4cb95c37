"""kinview metrics: what stored predictions say, with intervals, differences and subgroups."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinview.cli import main
from kinview.evaluation import Store, metrics_with_intervals, subgroup_metrics


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ward in which sex decides how well the label can be told, benchmarked with two methods and two probes."""
    folder = tmp_path_factory.mktemp("study")
    draw = np.random.default_rng(0)
    n = 160
    died, female = np.arange(n) % 2, np.arange(n) // 2 % 2
    rows = pd.DataFrame(draw.normal(size=(n, 3)), columns=list("abc"))
    rows["a"] += 3 * died * female
    rows = rows.assign(
        stay=[f"s{i:03d}" for i in range(n)], sex=np.where(female, "f", "m"), age=20 + draw.integers(70, size=n)
    )
    (folder / "ward").mkdir()
    rows.assign(died=died).to_csv(folder / "ward" / "ward.csv", index=False)
    (folder / "study.yaml").write_text(
        "name: wards\n"
        "datasets: [{ward: {label: died, index: stay, static: [sex, age], test_fraction: 0.5}}]\n"
        "methods: [raw, pca]\ncontrols: none\nprobes: [logistic, svm]\nseeds: [0]\n"
        "corruptions: [mcar]\nseverities: [0.4]\n"
        f"data_dir: {folder}\n"
    )
    assert main(["bench", str(folder / "study.yaml"), "--output_dir", str(folder)]) == 0
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


SUBGROUPS = ("--subgroups", "[sex, {age: [0, 55, 120]}]")


def data(study: Path) -> tuple[Any, ...]:
    read = ("--label", "died", "--index", "stay", "--static", "sex,age", "--test_fraction", 0.5)
    return ("--dataset", "ward", "--data_dir", study, *read)


def test_the_page_shows_what_the_functions_compute(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("metrics", "--store", study / "results.db", "--metrics", "[auroc, brier_score]", "--n_resamples", 200)
    code, out, _ = run(capsys, *words, "--reference", "raw/logistic")
    assert code == 0 and out.startswith("# wards\n") and "95% intervals over 200 resamples of test patients" in out
    assert "## ward, clean\n\n80 samples; 40 of 1 (50.0%)." in out and "## ward, missing 40 %" in out
    said = Store(f"{study}/results.db").predictions()
    clean = said[said["corruption"].isna() & (said["method"] == "raw")]
    found = metrics_with_intervals(clean, ["auroc"], by=["method", "probe"], n_resamples=200).set_index("probe")
    for probe in ("logistic", "svm"):
        row = found.loc[probe]
        shown = re.escape(f"| raw | {probe} | {row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] |")
        assert re.search(shown, out)
    assert re.search(r"\| raw \| svm \| [^|]+\|  \|", out)  # decision values have no Brier score
    assert "Difference to raw with the probe logistic, with p" in out
    assert re.search(r"\| pca \| logistic \| [+-]0\.\d{3} \[[+-]\d\.\d{3}, [+-]\d\.\d{3}\], p [\d.]+ \|", out)


def test_subgroups_go_by_columns_that_no_encoder_saw(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, table = study / "page.md", study / "rows.csv"
    words = ("metrics", "--store", study / "results.db", "--metrics", "[auroc]", "--n_resamples", 200, *SUBGROUPS)
    code, out, _ = run(capsys, *words, *data(study), "--output", page)
    assert code == 0 and out.splitlines()[-1] == f"saved {page}: 32 rows of metrics with their intervals"
    text = page.read_text(encoding="utf-8")
    assert "## ward, by sex" in text and "## ward, by age" in text and "[55, 120]" in text
    gap = re.search(
        r"\| raw \| logistic \| AUROC \| m \| f \| m \| 0\.(\d{3}) \[[^]]+\] \| (<?0?\.\d+|\\<0\.001) \|", text
    )
    assert gap is not None and int(gap[1]) > 250  # what decides among women says nothing of men
    assert run(capsys, *words, *data(study), "--output", table)[0] == 0
    rows = pd.read_csv(table)
    assert rows["table"].value_counts().to_dict() == {"metrics": 8, "subgroups": 16, "gaps": 8}
    said = Store(f"{study}/results.db").predictions()
    known = pd.read_csv(study / "ward" / "ward.csv").set_index("stay")[["sex", "age"]]
    clean = said[said["corruption"].isna()]
    wanted = subgroup_metrics(clean, known, ["sex"], ["auroc"], by=["method", "probe"], n_resamples=200).table
    mine = rows[(rows["table"] == "subgroups") & (rows["subgroup"] == "sex")].sort_values(["method", "probe", "level"])
    wanted = wanted.sort_values(["method", "probe", "level"])
    np.testing.assert_allclose(mine[["value", "low", "high"]], wanted[["value", "low", "high"]], atol=1e-12)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (SUBGROUPS, "--subgroups goes by static columns of a data set: give --dataset or --data too"),
        (("--dataset", "wine"), "--dataset and --data are for --subgroups; give these too"),
        (("--metrics", "[auc]"), "did you mean"),
        (("--benchmark", "other"), "has no benchmark 'other'; it holds wards"),
        (("--reference", "raw/knn"), "has no probe of these results"),
        (("--output", "page.html"), "must end in .md or .csv or .parquet"),
    ],
)
def test_what_makes_no_sense_is_refused(
    study: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    code, _, err = run(capsys, "metrics", "--store", study / "results.db", "--n_resamples", 50, *words)
    assert code == 2 and message in err


def test_samples_of_another_cut_are_refused(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read = ("--dataset", "wine", "--subgroups", "[alcohol]")
    code, _, err = run(capsys, "metrics", "--store", study / "results.db", "--n_resamples", 50, *read)
    assert code == 2 and "wine has no static columns; name them when it is read (--static)" in err


def test_subgroups_of_several_data_sets_are_asked_for_by_name_or_by_the_study(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = tmp_path / "several.yaml"
    several.write_text(
        "name: several\n"
        "datasets:\n"
        "  - wine\n"
        "  - ward: {label: died, index: stay, static: [sex, age], test_fraction: 0.5, static_to: {subgroups: [sex]}}\n"
        "methods: [raw]\ncontrols: none\nprobes: [logistic]\nseeds: [0]\n"
        f"data_dir: {study}\n"
    )
    store = ("--store", tmp_path / "results.db")
    assert main(["bench", str(several), "--output_dir", str(tmp_path)]) == 0
    one, other = tmp_path / "one.md", tmp_path / "other.md"
    words = (*store, "--metrics", "[accuracy]", "--n_resamples", 50)
    assert run(capsys, "metrics", *words, "--subgroups", "[sex]", *data(study), "--output", one)[0] == 0
    assert run(capsys, "metrics", *words, "--study", several, "--output", other)[0] == 0
    assert one.read_text(encoding="utf-8") == other.read_text(encoding="utf-8")
    assert "## ward, by sex" in one.read_text(encoding="utf-8") and "## wine, by" not in one.read_text(encoding="utf-8")
    for name, options in (("a.html", ("--subgroups", "[sex]", *data(study))), ("b.html", ("--study", several))):
        assert run(capsys, "report", *store, *options, "--output", tmp_path / name)[0] == 0
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert page.count("Subgroups") >= 1 and "ward" in page and ">f<" in page
    code, _, err = run(capsys, "report", *store, "--study", several, *SUBGROUPS)
    assert code == 2 and "--study names benchmark, data and subgroups; leave these options out" in err
    elsewhere = tmp_path / "clinic" / "clinic.csv"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes((study / "ward" / "ward.csv").read_bytes())
    read = data(study)[4:]
    code, _, err = run(capsys, "report", *store, "--subgroups", "[sex]", "--data", elsewhere, *read)
    assert code == 2 and "the data set that was given is 'clinic', and the results are of ward, wine: give one" in err
