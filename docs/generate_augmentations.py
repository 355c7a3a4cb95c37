"""Write docs/augmentations.md from the registry, with one picture for each member.

python docs/generate_augmentations.py            the page and all pictures
python docs/generate_augmentations.py jitter     the page, and the pictures of these members
python docs/generate_augmentations.py --check    exit code 1 where page and registry differ, or a picture is missing
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import io
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from docstring_pages import (
    allowed,
    docstring_sections,
    in_cell,
    markdown,
    paragraphs,
    parameter_texts,
    plain,
    references,
)

from kinview.augmentations import Augmentation, augmentations
from kinview.files import atomic_write

DOCS = Path(__file__).parent
PAGE = DOCS / "augmentations.md"
PICTURES = DOCS / "images" / "augmentations"

FAMILIES = (
    "time domain", "masking", "frequency domain", "mixing", "clinical", "tables", "embedding space", "learned",
    "composition",
)  # fmt: skip
READING_ORDER = (  # of the members of a family; those that are not named follow by name
    "jitter", "scaling", "offset", "sign_flip", "channel_permutation", "time_reverse", "permutation", "time_shift",
    "magnitude_warp", "time_warp", "window_warp", "window_slice", "random_crop_resize", "random_window", "crop_pair",
    "resample",
    "smooth", "low_pass", "high_pass", "band_stop", "drift", "pool", "quantize", "convolve", "binomial_mask",
    "continuous_mask", "cutout", "channel_dropout", "history_cutout", "history_crop", "observation_dropout",
    "last_mask", "frequency_dropout", "frequency_addition", "amplitude_jitter", "phase_jitter", "frequency_mask",
    "band_shuffle", "amplitude_phase_mixup", "surrogate", "spectrogram_mask", "mixup", "cutmix", "dominant_shuffle",
    "geometric_mixup", "baseline_wander", "powerline", "muscle_artifact", "electrode_motion", "lead_dropout",
    "adjacent_segments", "lead_views", "column_corruption", "swap_noise", "gaussian_noise", "zero_out", "mean_mask",
    "cell_dropout", "uniform_range", "joint_row_swap", "column_subsets", "table_cutmix", "class_conditional_corruption",
    "embedding_noise", "feature_dropout", "embedding_mixup", "adversarial", "viewmaker", "tabular_viewmaker",
    "tailored_mixup", "compose", "one_of", "some_of", "sometimes", "views", "curriculum",
)  # fmt: skip
EXAMPLES: dict[str, Any] = {  # what cannot be built from its name alone, or hardly shows at its default
    "compose": [{"jitter": {"sigma": 0.1}}, "permutation"],
    "one_of": {"one_of": {"augmentations": ["sign_flip", "permutation", {"jitter": {"sigma": 0.3}}]}},
    "some_of": {"some_of": {"augmentations": ["sign_flip", "permutation", {"jitter": {"sigma": 0.3}}], "k": 2}},
    "sometimes": {"sometimes": {"augmentation": "permutation", "p": 0.5}},
    "views": {"views": {"augmentations": [{"jitter": {"sigma": 0.1}}, "permutation"]}},
    "adversarial": {"adversarial": {"epsilon": 0.5}},
    "viewmaker": {"viewmaker": {"epsilon": 0.3}},
    "tabular_viewmaker": {"tabular_viewmaker": {"epsilon": 0.5}},
    "lead_views": {"lead_views": {"n_leads": 2}},
    "curriculum": {"curriculum": {"augmentation": {"jitter": {"sigma": 0.8}}, "start": 0.5}},
}
WORKS_ON = {"time_series": "series", "tabular": "tables", "embedding": "embeddings", "any": "series and tables"}
FLAGS = {
    "moves_time": "moves steps",
    "makes_gaps": "makes gaps",
    "mixes_rows": "mixes rows",
    "chooses_partners": "chooses partners by what they hold",
    "mixes_channels": "mixes channels",
    "changes_length": "changes the length",
}
SEEDS = {"crop_pair": 2, "sometimes": 1}  # where the first draws show little
RATE = 125.0  # steps a second of the drawn electrocardiogram
INTRODUCTION = """\
<!-- Written by docs/generate_augmentations.py from the registry; do not edit. -->

# Augmentations

NUMBER ways to make a view. Each works on a whole batch at once, on series `(n, channels, time)`, tables `(n, columns)`
or embeddings `(n, dim)`, draws from the `torch.Generator` it is given and from nothing else, keeps NaN where it was
unless it *makes gaps* or *moves steps*, and refuses parameters out of range when it is built. In Python,

```python
from kinview.augmentations import augmentations

view = augmentations.build({"permutation": {"max_segments": 8}})(x, generator)  # or a name, a recipe, a list of these
```

in YAML in the same words, and as a picture of your own data:

```sh
kinview views --dataset gunpoint --augmentation permutation --output views.png
```

The pictures show two leads of a synthetic electrocardiogram (RATE steps a second), a synthetic table of patients, or
made-up embeddings, at the defaults unless the title says otherwise: originals first, then views. `strength_scaled(s)`
moves the parameters named as *strength* from the value at which nothing changes (s = 0) to the given one (s = 1).

**Recipes**, which are built by their names too: RECIPES.
"""


# --- the page --------------------------------------------------------------------------------------------------------


def page() -> str:
    listed = families()
    words = {
        "NUMBER": len(augmentations),
        "RATE": f"{RATE:g}",
        "RECIPES": ", ".join(f"`{r}`" for r in augmentations.recipes()),
    }
    parts = [re.sub("|".join(words), lambda word: str(words[word[0]]), INTRODUCTION)]
    parts += ["| family | members |", "|---|---|"]
    for family, names in listed.items():
        parts.append(f"| [{family}](#{anchor(family)}) | {', '.join(f'[`{name}`](#{name})' for name in names)} |")
    for family, names in listed.items():
        parts += ["", f"## {family}"]
        for name in names:
            parts += ["", member(name)]
    return "\n".join(parts) + "\n"


def families() -> dict[str, list[str]]:
    """Registered members in reading order, by the family that each is registered with; the others stand at the end."""
    listed: dict[str, list[str]] = {family.capitalize(): [] for family in (*FAMILIES, "further")}
    for name in sorted(augmentations, key=lambda name: (*READING_ORDER, name).index(name)):
        family = augmentations[name].metadata.get("family")
        listed[(family if family in FAMILIES else "further").capitalize()].append(name)
    return {family: names for family, names in listed.items() if names}


def anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def member(name: str) -> str:
    entry, part = augmentations[name], example(name)
    sections = docstring_sections(entry.target)
    cited = references(sections.pop("References", ""))
    sections = {title: with_names(text, cited) for title, text in sections.items()}
    summary, *details = paragraphs(sections[""])
    text = [f"### {name}", "", markdown(summary), "", *(f"{markdown(p)}\n" for p in details)]
    text += [f"![{name}](images/augmentations/{name}.png)", "", facts(part), ""]
    rows = parameter_rows(entry.target, sections.get("Parameters", ""))
    if rows:
        text += ["| parameter | default | range | meaning, and source of the default |", "|---|---|---|---|", *rows, ""]
    for paragraph in paragraphs(sections.get("Notes", "")):
        text += [markdown(paragraph), ""]
    if entry.reference:
        text += [f"Reference: {entry.reference}.", ""]
    text += [f"- {reference}" for reference in cited.values()]
    return "\n".join(text).rstrip()


def example(name: str) -> Augmentation:
    part: Augmentation = augmentations.build(EXAMPLES.get(name, name))
    return part


def facts(part: Augmentation) -> str:
    """Modality and flags in one line."""
    found = [WORKS_ON[part.modality]]
    if part.n_views > 1:
        found.append(f"{part.n_views} views")
    found += [words for flag, words in FLAGS.items() if getattr(part, flag)]
    if part.needs:
        found.append(f"needs {', '.join(need.replace('_', ' ') for need in sorted(part.needs))}")
    moved = [
        f"`{field.name}`"
        for field in dataclasses.fields(part)  # type: ignore[arg-type]
        if getattr(field.metadata.get("rule"), "neutral", None) is not None
    ]
    found.append(f"strength: {', '.join(moved)}" if moved else "" if part.has_strength else "no strength")
    return f"*Works on {' · '.join(fact for fact in found if fact)}*"


def parameter_rows(target: Any, section: str) -> list[str]:
    described = parameter_texts(section)
    rows = []
    for name, parameter in inspect.signature(target).parameters.items():
        field = next(field for field in dataclasses.fields(target) if field.name == name)
        default = "required" if parameter.default is parameter.empty else f"`{plain(parameter.default)}`"
        meaning = in_cell(markdown(described.get(name, "")))
        rows.append(f"| `{name}` | {default} | {in_cell(allowed(field.metadata.get('rule')))} | {meaning} |")
    return rows


def with_names(text: str, cited: Mapping[str, str]) -> str:
    """Text whose citations ``[1]_`` have become ``[first author year]``."""
    return re.sub(r"\[(\d+)\]_", lambda number: f"[{short(cited[number[1]])}]", text)


def short(reference: str) -> str:
    """First author and year of a reference; of an address, its end."""
    if reference.startswith("https://"):
        return reference.removesuffix("/").rpartition("/")[2]
    who, second, *_ = reference.split(", ")
    several = not who.endswith(" et al.") and " " not in second  # "Moody, Muldrow, Mark, A noise stress test, ..."
    year = re.search(r"\b(?:19|20)\d\d\b(?!\.\d)", reference)
    return f"{who}{' et al.' if several else ''} {year[0] if year else ''}".strip()


# --- the pictures ----------------------------------------------------------------------------------------------------


def draw(name: str) -> bytes:
    from kinview.diagnostics import view_sheet
    from kinview.diagnostics.sheet import figure_bytes

    part = example(name)
    options: dict[str, Any] = {"seed": SEEDS.get(name, 0), "views": 2}
    if "loss" in part.needs:
        part = part.bind_loss(lambda x: x.square().sum())  # type: ignore[attr-defined]
    if part.modality == "embedding" or augmentations[name].metadata.get("family") == "embedding space":
        X: Any = embeddings()
        options |= {"samples": 6}
    elif part.modality == "tabular":
        X, options["y"] = patients()
        options |= {"samples": 7}
    else:
        X, options["y"] = electrocardiograms()
        options |= {"samples": 2, "groups": np.arange(len(options["y"])) // 2}
    colours = 24 if isinstance(getattr(X, "index", None), pd.MultiIndex) else 160
    return shrunk(figure_bytes(view_sheet(X, part, **options), "png", dpi=78), colours)


def shrunk(png: bytes, colours: int) -> bytes:
    """The picture in so few colours that nothing is missed: lines need hardly any, cells many."""
    from PIL import Image

    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    picture.save(stream, format="png", optimize=True)
    return stream.getvalue()


def electrocardiograms(n: int = 16, seconds: float = 2.4) -> tuple[pd.DataFrame, list[str]]:
    """Leads I and V1 of a synthetic electrocardiogram: Gaussian waves P, Q, R, S and T of a steady rhythm."""
    random = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    waves = {"p": (-0.18, 0.025), "q": (-0.03, 0.01), "r": (0.0, 0.012), "s": (0.035, 0.011), "t": (0.25, 0.045)}
    heights = {"I": (0.12, -0.08, 1.0, -0.2, 0.3), "V1": (0.08, 0.0, 0.25, -0.9, -0.15)}
    X = np.zeros((n, 2, len(time)))
    for row in X:
        every, first = random.uniform(0.65, 1.0), random.uniform(0.2, 0.5)
        for lead, sizes in zip(row, heights.values(), strict=True):
            for beat in np.arange(first - every, seconds + every, every):
                for (place, width), size in zip(waves.values(), sizes, strict=True):
                    lead += size * np.exp(-0.5 * ((time - beat - place) / width) ** 2)
        row += 0.008 * random.normal(size=row.shape)
    index = pd.MultiIndex.from_product([range(n), time], names=["series", "time (s)"])
    return pd.DataFrame(X.transpose(0, 2, 1).reshape(-1, 2), index, list(heights)), ["sinus", "other"] * (n // 2)


def patients(n: int = 60) -> tuple[pd.DataFrame, list[str]]:
    """A table of numbers and categories with gaps."""
    random = np.random.default_rng(0)
    ill = random.random(n) < 0.4
    frame = pd.DataFrame(
        {
            "age": random.normal(58 + 8 * ill, 12).round(),
            "pulse": random.normal(78 + 14 * ill, 9).round(),
            "lactate": random.lognormal(0.3 + 0.6 * ill, 0.4).round(1),
            "sodium": random.normal(139, 3, n).round(),
            "sex": random.choice(["f", "m"], n),
            "ward": random.choice(["icu", "er", "gen"], n),
        }
    )
    frame.loc[random.random(n) < 0.3, "lactate"] = np.nan
    frame.loc[random.random(n) < 0.12, "ward"] = None
    return frame, ["ill" if one else "well" for one in ill]


def embeddings(n: int = 24, dimensions: int = 12) -> np.ndarray:
    """Two clusters of vectors."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(2, dimensions))
    return centres[np.arange(n) % 2] + 0.3 * random.normal(size=(n, dimensions))


# --- the program -----------------------------------------------------------------------------------------------------


def stale() -> list[str]:
    """What differs between the committed page with its pictures and the registry."""
    found = []
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        found.append(f"{PAGE.name} is not what the registry says")
    drawn = {file.stem for file in PICTURES.glob("*.png")}
    found += [f"no picture of {name}" for name in sorted(set(augmentations) - drawn)]
    found += [f"a picture of {name}, which there is not" for name in sorted(drawn - set(augmentations))]
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="members to draw; all unless given")
    parser.add_argument("--check", action="store_true", help="write nothing; say what is not current")
    options = parser.parse_args(argv)
    if options.check:
        problems = stale()
        for problem in problems:
            print(problem)
        return 1 if problems else 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    sizes: Mapping[str, int] = {}
    for name in options.names or list(augmentations):
        picture = draw(name)
        atomic_write(PICTURES / f"{name}.png", picture)
        sizes = {**sizes, name: len(picture)}
    for file in PICTURES.glob("*.png"):
        if file.stem not in augmentations:
            file.unlink()
    atomic_write(PAGE, page())
    total = sum(file.stat().st_size for file in PICTURES.glob("*.png"))
    print(f"wrote {PAGE.name}: {len(augmentations)} members, {len(sizes)} pictures drawn, {total / 1e6:.2f} MB in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
