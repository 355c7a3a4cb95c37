"""The page in a browser: wide and narrow, sorted and filtered, without its script, in the dark, and on paper."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest

from kinview.evaluation.report.html import render_report
from test_report import results_frame

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed"),
]

LONG = "ts2vec(repr_dim=64, hidden_dim=32, depth=5, mask=continuous, trainer.max_steps=2000)"


@pytest.fixture(scope="module")
def page():
    """A page with 22 conditions and a method whose name is long."""
    frame = results_frame({f"set {i}": 90 for i in range(7)}, ["raw", "random_init", LONG], ("svm",), (0, 1))
    harder = [frame[frame["severity"] == 0.4].assign(severity=0.41 + 0.01 * k) for k in range(17)]
    return render_report(pd.concat([frame, *harder]))


def chromium(folder, *options):
    """Run the browser on a profile of its own."""
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
        *options,
    ]
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout.decode()


def measure(page, folder, width, script, *, scripts=True, options=()):
    """What a script says of the page (``page``, its document) in a frame of a width."""
    frame = html.escape(page, quote=True)
    allowed = "allow-same-origin allow-scripts" if scripts else "allow-same-origin"
    (folder / "frame.html").write_text(
        f'<!doctype html><body style="margin:0"><iframe sandbox="{allowed}" srcdoc="{frame}" '
        f'style="width:{width}px;height:900px;border:0"></iframe><pre id="said"></pre><script>'
        'document.querySelector("iframe").addEventListener("load", (event) => {'
        "const view = event.target.contentWindow, page = event.target.contentDocument;"
        f'document.getElementById("said").textContent = JSON.stringify((() => {{{script}}})());'
        "});</script>",
        encoding="utf-8",
    )
    shown = chromium(folder, f"--window-size={max(width, 600)},1000", *options, "--dump-dom", f"{folder}/frame.html")
    return json.loads(html.unescape(re.search(r'<pre id="said">(.*?)</pre>', shown, flags=re.S)[1]))


FITS = """
    const box = (element) => element.getBoundingClientRect();
    const badges = [...page.querySelectorAll(".badge")];
    const scroll = page.querySelector(".scroll:has(table.results)");
    const before = box(scroll.querySelector("tbody th[scope=row]")).left;
    scroll.scrollLeft = 400;
    return {
        wide: page.documentElement.scrollWidth, view: page.documentElement.clientWidth,
        badges: badges.map((one) => [box(one).left, box(one).right, one.scrollWidth - one.clientWidth]),
        moved: scroll.scrollLeft, pinned: box(scroll.querySelector("tbody th[scope=row]")).left - before,
        verdicts: badges.map((one) => one.textContent),
    };
"""


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_clipped_and_names_stay_in_sight(page, width, tmp_path):
    found = measure(page, tmp_path, width, FITS)
    assert found["wide"] <= found["view"] <= width
    assert found["verdicts"] == ["is worse than raw", "is not shown to beat random_init"]
    for left, right, clipped in found["badges"]:
        assert 0 <= left < right <= width and clipped <= 0
    assert abs(found["pinned"]) < 1
    assert found["moved"] > 300 if width == 390 else found["moved"] == 0  # a table of conditions fits a wide window


def test_tables_sort_and_rows_are_filtered(page, tmp_path):
    found = measure(page, tmp_path, 1280, """
        const table = page.querySelector("table.verdicts"), head = table.tHead.rows[0].cells[2];
        const values = () => [...table.tBodies[0].rows].map((row) => row.cells[2].querySelector("b").textContent);
        head.querySelector("button").click();
        const down = [values(), head.getAttribute("aria-sort")];
        head.querySelector("button").click();
        const up = [values(), head.getAttribute("aria-sort")];
        const field = page.querySelector("input[type=search]");
        const rows = () => [...page.querySelectorAll("table.results")[0].querySelectorAll("tbody tr")]
            .filter((row) => !row.hidden).map((row) => row.cells[0].textContent.trim());
        const all = rows().length;
        field.value = "set 3";
        field.dispatchEvent(new view.Event("input"));
        const some = rows();
        field.value = "";
        field.dispatchEvent(new view.Event("input"));
        return { down, up, all, some, again: rows().length, label: field.closest("label").textContent };
    """)  # fmt: skip
    number = [float(text.replace("\N{MINUS SIGN}", "-")) for text in found["down"][0]]
    assert number == sorted(number, reverse=True) and found["down"][1] == "descending"
    assert found["up"] == [found["down"][0][::-1], "ascending"]
    assert found["again"] == found["all"] == 8 * 4 and found["label"] == "Only rows with"
    assert len(found["some"]) == 4 and found["some"][0].startswith("set 3")


def test_the_page_works_without_its_script(page, tmp_path):
    found = measure(page, tmp_path, 1280, """
        return {
            buttons: page.querySelectorAll("button, input").length,
            rows: page.querySelectorAll("table.results")[0].querySelectorAll("tbody tr").length,
            hidden: page.querySelectorAll("[hidden]").length, verdicts: page.querySelectorAll(".badge").length,
        };
    """, scripts=False)  # fmt: skip
    assert found == {"buttons": 0, "rows": 8 * 4, "hidden": 0, "verdicts": 2}


def test_no_other_script_runs(page, tmp_path):
    """The page names its own script by its hash, so that no text of a user could become one."""
    planted = page.replace("<main>", "<main><script>document.title = 'planted'</script>")
    assert planted != page
    title = measure(planted, tmp_path, 1280, "return page.title;")
    assert title == "Benchmark quickstart"


def test_it_is_dark_where_the_reader_wants_it_dark(page, tmp_path):
    script = "return view.getComputedStyle(page.body).backgroundColor;"
    light = measure(page, tmp_path, 1280, script)
    dark = measure(page, tmp_path, 1280, script, options=["--blink-settings=preferredColorScheme=0"])
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(20, 24, 30)")


def test_no_column_is_lost_on_paper(page, tmp_path):
    """Printed rules on the printed width: every table fits, and its headings are repeated."""
    size = re.search(r"@page \{ size: (\d+)mm (\d+)mm; margin: (\d+)mm; \}", page)
    width, height, margin = map(int, size.groups())
    inside = int((width - 2 * margin) * 96 / 25.4)
    found = measure(page.replace("@media print", "@media all"), tmp_path, inside, """
        return [...page.querySelectorAll("table")].map((table) => {
            const box = table.getBoundingClientRect();
            return [box.left, box.right, table.tHead ? view.getComputedStyle(table.tHead).display : ""];
        });
    """)  # fmt: skip
    assert len(found) > 5
    for left, right, head in found:
        assert left >= 0 and right <= inside + 1 and head == "table-header-group"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    chromium(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path}/page.pdf", f"{tmp_path}/page.html")
    printed = (tmp_path / "page.pdf").read_bytes()
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed)}
    assert len(boxes) == 1
    assert boxes.pop()[2:] == pytest.approx((width * 72 / 25.4, height * 72 / 25.4), abs=1)


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs pdftotext, which is not installed")
def test_heads_that_sort_keep_their_words_where_paper_repeats_them(tmp_path):
    frame = results_frame({f"set {i}": 90 for i in range(40)}, ["raw", "random_init"], ("svm",), (0, 1))
    page = render_report(
        frame[frame["corruption"].isna() & frame["label_noise"].isna() & (frame["label_fraction"] == 1)]
    )
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    chromium(tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path}/page.pdf", f"{tmp_path}/page.html")
    told = subprocess.run(["pdftotext", f"{tmp_path}/page.pdf", "-"], check=True, capture_output=True, text=True)
    sheets = [sheet.split() for sheet in told.stdout.split("\f")]
    table = [sheet for sheet in sheets if sheet.count("\u00b1") > 20]
    assert len(table) > 1
    assert all({"Method", "clean"} <= set(sheet) for sheet in table)
