"""Fields that carry their own range, and the parameters of strength."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from kinview.parameters import (
    anything,
    check_parameters,
    checked_parameters,
    choice,
    flag,
    interval,
    parameterised,
    real,
    scaled_parameters,
    spec,
    whole,
)


@dataclasses.dataclass(frozen=True)
class Part:
    sigma: float = real(0.8, low=0, neutral=0)
    ratio: float = real(0.9, above=0, high=1, neutral=1)
    rate: float | None = real(None, above=0)
    fraction: float = real(0.5, low=0, below=1)
    segments: int = whole(5, low=1, neutral=1)
    band: tuple[float, float] = interval((0.1, 0.2), low=0, high=0.5)
    gain: tuple[float, float] = interval((0.5, 2.0), above=0, neutral=1)
    fill: str = choice("zero", ("zero", "mean", "missing"))
    circular: bool = flag(True)
    plain: int = 3

    def __post_init__(self) -> None:
        check_parameters(self)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma": -1}, "sigma must be at least 0; got -1"),
        ({"sigma": float("nan")}, "sigma must be at least 0; got nan"),
        ({"sigma": float("inf")}, "sigma must be at least 0; got inf"),
        ({"sigma": "1e-2"}, r"sigma must be a number; got the text '1e-2': write 0\.01"),
        ({"sigma": "nan"}, "sigma must be a number; got the text 'nan'$"),
        ({"segments": "5"}, "segments must be a whole number; got the text '5': write 5$"),
        ({"segments": "1e2"}, "segments must be a whole number; got the text '1e2': write 100$"),
        ({"segments": "2.5"}, r"segments must be a whole number; got the text '2\.5'$"),
        ({"segments": "five"}, "segments must be a whole number; got the text 'five'$"),
        ({"band": np.zeros((2, 2))}, "band must be a number|band must be two numbers"),
        ({"sigma": True}, "sigma must be a number; got True"),
        ({"sigma": None}, "sigma must be a number; got None"),
        ({"ratio": 0.0}, r"ratio must be in \(0, 1\]; got 0\.0"),
        ({"rate": 0}, "rate must be above 0; got 0"),
        ({"fraction": 1.0}, r"fraction must be in \[0, 1\); got 1\.0"),
        ({"segments": 0}, "segments must be at least 1; got 0"),
        ({"segments": 2.5}, r"segments must be a whole number; got 2\.5"),
        ({"band": (0.3, 0.2)}, r"band must be two numbers, the lower first; got \(0\.3, 0\.2\)"),
        ({"band": 0.3}, "band must be two numbers, the lower first; got 0.3"),
        ({"band": [0.1, 0.7]}, r"band must be in \[0, 0\.5\]; got 0\.7"),
        ({"fill": "one"}, "fill must be 'zero', 'mean' or 'missing'; got 'one'"),
        ({"fill": ["zero"]}, "fill must be 'zero', 'mean' or 'missing'"),
        ({"circular": 1}, "circular must be True or False; got 1"),
    ],
)
def test_a_parameter_out_of_its_range_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Part(**given)


def test_what_yaml_gives_as_a_list_becomes_a_tuple() -> None:
    assert Part(band=[0.0, 0.5]).band == (0.0, 0.5)  # type: ignore[arg-type]
    assert Part(band=[0.1, 0.2]) == Part()  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [np.array([0.1, 0.2]), torch.tensor([0.1, 0.2], dtype=torch.float64)])
def test_an_array_becomes_a_tuple_of_plain_numbers(given: Any) -> None:
    part = Part(band=given)
    assert part == Part() and [type(end) for end in part.band] == [float, float]


def test_strength_moves_from_the_neutral_values_and_stays_in_range() -> None:
    assert scaled_parameters(Part(), 0.0) == {"sigma": 0.0, "ratio": 1.0, "segments": 1, "gain": (1.0, 1.0)}
    assert scaled_parameters(Part(), 1.0) == {"sigma": 0.8, "ratio": 0.9, "segments": 5, "gain": (0.5, 2.0)}
    half = scaled_parameters(Part(), 0.5)
    assert half == {"sigma": 0.4, "ratio": 0.95, "segments": 3, "gain": (0.75, 1.5)}
    strong = scaled_parameters(Part(), 20.0)
    assert strong["ratio"] == 0.9  # an open end is not a value: it stays
    assert Part(**strong).sigma == 16.0
    assert strong["gain"][0] == 0.5


# --- classes whose fields are their parameters -----------------------------------------------------------------------


def _even(value: Any, name: str) -> None:
    if value % 2:
        raise ValueError(f"{name} must be even; got {value!r}")


@parameterised
class Model:
    """A model.

    It has parameters.

    Notes
    -----
    And notes.
    """

    width: int = whole(8, low=1, doc="Size of a layer (paper).")
    limit: int | None = whole(3, low=2, optional=True, doc="Longest input.")
    rate: float | None = real(None, above=0, doc="Rate.")
    scaling: str | None = choice("dataset", ("dataset", "sample", None), doc="What is learned " + "of values " * 20)
    view: Any = spec("jitter", "augmentation", doc="A view.")
    pair: Any = anything(2, "even number", check=_even, doc="A pair.")
    exact: bool = flag(True, doc="Whether.")


MODEL = """A model.

It has parameters.

Parameters
----------
width : int, default 8
    Size of a layer (paper).
limit : int or None, default 3
    Longest input.
rate : float, optional
    Rate.
scaling : {"dataset", "sample"} or None, default "dataset"
    What is learned of values of values of values of values of values of values of values of values of values of values
    of values of values of values of values of values of values of values of values of values of values
view : spec, default "jitter"
    A view.
pair : even number, default 2
    A pair.
exact : bool, default True
    Whether.

Notes
-----
And notes.
"""


def test_the_parameters_section_is_made_of_the_fields() -> None:
    assert (Model.__doc__ or "").strip() == MODEL.strip()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"width": 0}, "width must be at least 1; got 0"),
        ({"limit": 1}, "limit must be at least 2; got 1"),
        ({"rate": 0.0}, r"rate must be above 0; got 0\.0"),
        ({"scaling": "minmax"}, "scaling must be 'dataset', 'sample' or None; got 'minmax'"),
        ({"scaling": np.zeros(2)}, "scaling must be 'dataset', 'sample' or None; got array"),
        ({"view": 3}, "view must be the name of a registered augmentation or {name: {parameter: value}}; got 3"),
        ({"view": None}, "view must be the name of a registered augmentation or .* got None"),
        ({"pair": 3}, "pair must be even; got 3"),
        ({"exact": "no"}, "exact must be True or False; got the text 'no'"),
    ],
)
def test_a_constructor_stores_and_a_check_refuses(given: dict[str, Any], message: str) -> None:
    model = Model(**given)
    assert all(getattr(model, name) is value for name, value in given.items())
    with pytest.raises(ValueError, match=message):
        checked_parameters(model)


def test_a_check_gives_plain_values_and_leaves_the_object_alone() -> None:
    given = {"width": np.int64(4), "rate": np.float32(0.5), "limit": None, "scaling": None, "exact": np.bool_(False)}
    model = Model(**given)  # type: ignore[arg-type]
    checked = checked_parameters(model)
    assert checked == {"width": 4, "rate": 0.5, "limit": None, "scaling": None, "view": "jitter", "pair": 2, "exact": 0}
    assert [type(checked[name]) for name in ("width", "rate", "exact")] == [int, float, bool]
    assert all(getattr(model, name) is value for name, value in given.items())


def test_a_subclass_inherits_the_fields_and_may_write_one_anew() -> None:
    @parameterised
    class Wide(Model):
        """A wide model."""

        width: int = whole(64, low=32, doc="Wider.")

    assert Wide().width == 64 and Wide(32, 5).limit == 5
    assert "width : int, default 64\n    Wider.\nlimit : int or None, default 3" in (Wide.__doc__ or "")
    with pytest.raises(ValueError, match="width must be at least 32; got 8"):
        checked_parameters(Wide(8))


def test_representation_and_equality_are_those_of_the_bases() -> None:
    assert Model.__repr__ is object.__repr__ and Model() != Model() and len({Model(), Model()}) == 2
