"""The page on augmentations says what the registry says."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from helpers import docs_program
from kinview.augmentations import augmentations


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return docs_program("generate_augmentations")


def test_the_committed_page_and_its_pictures_are_current(
    generator: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generator.main(["--check"]) == 0, capsys.readouterr().out + "run python docs/generate_augmentations.py"


def test_what_is_stale_is_said(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "PAGE", tmp_path / "augmentations.md")
    monkeypatch.setattr(generator, "PICTURES", tmp_path)
    (tmp_path / "jiter.png").touch()
    assert generator.main(["--check"]) == 1
    out = capsys.readouterr().out
    for expected in (
        "augmentations.md is not what",
        "no picture of jitter\n",
        "a picture of jiter, which there is not\n",
    ):
        assert expected in out


def test_every_member_has_its_place_parameters_flags_and_reference(generator: ModuleType) -> None:
    text = generator.page()
    for name in augmentations:
        assert text.count(f"\n### {name}\n") == 1
        entry = augmentations[name]
        section = text.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert f"images/augmentations/{name}.png" in section and "*Works on " in section
        assert entry.reference is None or entry.reference in section
    permutation = text.split("\n### permutation\n")[1].split("\n### ")[0]
    assert "| `max_segments` | `5` | whole, at least 1 | " in permutation
    assert "*Works on series · moves steps · strength: `max_segments`, `min_segments`*" in permutation
    assert "## Further" not in text, "a member is registered with a family of docs/generate_augmentations.py"
    described = [line for line in text.splitlines() if line.startswith("| `")]
    assert [line for line in described if line.endswith("|  |")] == [], "a parameter without a description"


def test_a_picture_repeats_and_the_pictures_are_small(generator: ModuleType) -> None:
    first = generator.draw("column_corruption")
    assert first == generator.draw("column_corruption") and first.startswith(b"\x89PNG")
    assert sum(file.stat().st_size for file in generator.PICTURES.glob("*.png")) < 3_000_000


def test_markup_is_turned_into_that_of_github(generator: ModuleType) -> None:
    assert generator.markdown(r"a :math:`|x|`, ``b`` and :class:`~kinview.Batch`") == r"a $`|x|`$, `b` and `Batch`"
    assert generator.in_cell(generator.markdown(r"1 − \|r\| of :math:`\|x\|`")) == r"1 − \|r\| of $`\\vert x\\vert `$"
    assert generator.in_cell(r"$`|x|`$ a|b") == r"$`\vert x\vert `$ a\|b"
    assert generator.parameter_texts("a, b : float\n    One.\n    Two.\nc : int\n    Three.") == {
        "a": "One. Two.",
        "b": "One. Two.",
        "c": "Three.",
    }


def test_citations_become_author_and_year(generator: ModuleType) -> None:
    cited = generator.references(
        """
        .. [1] Um et al., Data augmentation of wearable sensor data for Parkinson's
           disease monitoring, ICMI 2017, arXiv 1706.00527.
        .. [2] Ho and Vasconcelos, Contrastive Learning, NeurIPS 2020, arXiv 2010.12050.
        .. [3] Moody, Muldrow, Mark, A noise stress test, Computers in Cardiology 1984.
        .. [4] Butterworth, On the theory of filter amplifiers, 1930.
        .. [5] Arundo Analytics, tsaug: a Python package, 2020.
        .. [7] Ucar et al., SubTab, NeurIPS 2021, arXiv 2110.04361.
        .. [6] https://github.com/clabrugere/pytorch-scarf
        """.replace("\n        ", "\n")
    )
    assert cited["1"].endswith("Parkinson's disease monitoring, ICMI 2017, arXiv 1706.00527.")
    text = generator.with_names("(10 % in [1]_; [2]_, [3]_, [4]_, [5]_ and [6]_; [7]_)", cited)
    assert text == (
        "(10 % in [Um et al. 2017]; [Ho and Vasconcelos 2020], [Moody et al. 1984], [Butterworth 1930], "
        "[Arundo Analytics 2020] and [pytorch-scarf]; [Ucar et al. 2021])"
    )


def test_notes_and_all_references_are_shown_and_no_citation_is_left(generator: ModuleType) -> None:
    text = generator.page()
    assert "]_" not in text and " ()" not in text and " in)" not in text and "\\\\|" not in text
    section = text.split("\n### powerline\n")[1].split("\n### ")[0]
    assert "in [Clifford et al. 2006]" in section and "public code of [Mehari and Strodthoff 2022]" in section
    assert "\n- Clifford, Azuaje, McSharry (eds.), " in section and "\n- Mehari and Strodthoff, " in section
    assert "A harmonic above half the sampling rate is left out" in section
    subsets = text.split("\n### column_subsets\n")[1].split("\n### ")[0]
    assert r"1 − \|r\|" in subsets
