"""``kinview views``: a picture of samples and of what an augmentation makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions
from kinview._cli.models import check_output, with_parameters
from kinview._cli.text import count, say
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace

__all__ = ["parse", "run", "views"]

_SUFFIXES = (".png", ".svg")


def views(
    source: DataOptions,
    *,
    augmentation: list[Any] | dict[str, Any] | str,
    output: str = "views.png",
    parameters: dict[str, Any] | None = None,
    part: Literal["train", "test"] | None = None,
    samples: int | None = None,
    views: int | None = None,
    channels: list[str | int] | str | int | None = None,
    strength: float | None = None,
    scaling: Literal["dataset", "sample", "none"] = "dataset",
    sampling_rate: float | None = None,
    seed: int = 0,
) -> None:
    """What to draw.

    Parameters
    ----------
    source : DataOptions
        The data; the augmentation is fitted on their training part, or on all of a file without a split.
    augmentation : str, mapping or list
        Augmentation by name (kinview list augmentations), a recipe by name (tstcc_strong), {name: {parameter: value}},
        or a list of these, one after the other.
    output : str
        Picture to write, .png or .svg.
    parameters : mapping, optional
        Parameters of the augmentation: '{max_segments: 8}', or one by one as --parameters.max_segments 8.
    part : str, optional
        Part of the data that the samples are from; train, or all of a file without a split.
    samples : int, optional
        Number of samples, drawn at random; 4 series, or 12 rows of a table.
    views : int, optional
        Views of each sample; 2, rounded up where an augmentation makes several at once.
    channels : list of str or int, optional
        Channels or columns to draw, by name or position; the first 4 channels, or 24 columns. All are augmented.
    strength : float, optional
        Factor on the strength of the augmentation; at 0 nothing changes.
    scaling : str
        Scaling of series beforehand, as methods have it; a table is standardised by its schema.
    sampling_rate : float, optional
        Steps a second, for series without time stamps.
    seed : int
        Seed; the same one gives the same picture.
    """
    from kinview.augmentations import augmentations
    from kinview.data.modality import SAMPLE, SERIES, TABLE
    from kinview.diagnostics.sheet import figure_bytes
    from kinview.diagnostics.view_sheet import view_sheet

    file = check_output(output, _SUFFIXES)
    spec = augmentation
    if parameters:
        if isinstance(augmentation, list) or (
            isinstance(augmentation, str) and augmentation in augmentations.recipes()
        ):
            raise ValueError(
                "--parameters are those of one augmentation: write them into the list or the recipe's spec"
            )
        spec = with_parameters(augmentations, augmentation, parameters)
    built = augmentations.build(spec)
    if built.modality == "embedding":
        raise ValueError(
            f"{augmentations.name_of(built)} makes views of embeddings (n, D), not of data; in Python: "
            f"kinview.diagnostics.view_sheet.view_sheet(embeddings, {augmentations.name_of(built)!r})"
        )
    data = source.source()
    if part is not None and part not in data.parts:
        raise ValueError(
            f"{data.name} has no train and test part: leave out --part, or give --split or --test_fraction"
        )
    train = next(iter(data.parts.values()))
    chosen = train if part is None else data.parts[part]
    figure = view_sheet(
        chosen.X, spec, y=chosen.y, groups=chosen.groups, X_train=train.X, y_train=train.y, groups_train=train.groups,
        samples=samples, views=views, channels=_names(channels),
        strength=strength, scaling=scaling, sampling_rate=sampling_rate, seed=seed,
        name=data.name if part is None or part == "train" else f"{data.name} ({part})",
    )  # fmt: skip
    atomic_write(file, figure_bytes(figure, file.suffix.lower()[1:]))
    drawn = min(samples or {SERIES: 4, TABLE: 12}[chosen.modality], len(chosen))
    say(f"saved {file}: {count(drawn, SAMPLE[chosen.modality])} of {data.name} and their views")


def _names(channels: list[str | int] | str | int | None) -> list[str | int] | None:
    """Names or positions as text, ``[0, 1]`` in YAML like ``0,1`` on the command line: a name wins over a position."""
    if channels is None:
        return None
    return [str(one) for one in (channels if isinstance(channels, list) else [channels])]


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "views", "--dataset NAME | --data FILE  --augmentation NAME [options]",
        "Draw samples and what an augmentation makes of them, side by side.",
    )  # fmt: skip
    parser.add_function_arguments(views, as_positional=False, skip={"source"})
    parser.add_class_arguments(DataOptions)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    source = DataOptions.taken_from(options)
    views(source, **options.as_dict())
