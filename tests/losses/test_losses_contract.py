"""Every registered loss passes the checks of ``kinview.testing.check_loss``, and broken ones fail."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import gen
from kinview.losses import Loss, base, losses
from kinview.losses.base import FLAGS
from kinview.testing import check_loss
from kinview.testing._loss_case import call, default_inputs
from kinview.testing.losses import CHECKS, Inputs

# losses that have no default size
SPECS: Mapping[str, Any] = {
    "factor_cl": {"factor_cl": {"dim_a": 8, "dim_b": 8, "hidden_dim": 16}},
    "flo": {"flo": {"dim": 8, "hidden_dim": 16}},
    "swav": {"swav": {"dim": 8, "n_prototypes": 12}},
    "three_towers": {"three_towers": {"dim": 8, "third_dim": 8}},
}


def views(*names: str, shape: tuple[int, ...] = (8,)) -> Inputs:
    def draw(n: int, generator: torch.Generator) -> dict[str, Tensor]:
        parts = [0.2 * torch.randn(n, *shape, generator=generator, dtype=torch.float64) for _ in range(len(names) + 1)]
        return {name: parts[-1] + part / 2 for name, part in zip(names, parts, strict=False)}

    return draw


def mixed(n: int, generator: torch.Generator) -> dict[str, Tensor]:
    return views("a", "b", "second")(n, generator) | {
        "coefficient": torch.rand(n, generator=generator, dtype=torch.float64)
    }


# losses whose arguments are not views (n, d)
INPUTS: Mapping[str, Inputs] = {
    "hierarchical": views("z1", "z2", shape=(4, 5)),
    "mixup_contrastive": mixed,
    "temporal_cpc": views("predictions", "futures", shape=(3, 8)),
    "token_contrast": views("student", "teacher", shape=(5, 8)),
}

# the members that the package promises; a loss that is gone, or new and not named here, is noticed
PROMISED = {
    "pairs and triplets": "contrastive triplet n_pair lifted_structured soft_nearest_neighbour nce binary_logistic",
    "InfoNCE family": (
        "info_nce nt_xent nt_xent_poly clip debiased hard_negative decoupled sup_con group_nce neighbourhood nnclr "
        "mixup_contrastive hierarchical temporal_cpc consistency exp_clr sigmoid er_bound flat_nce flo "
        "token_contrast"
    ),
    "without negatives": "negative_cosine barlow_twins vicreg swav alignment_uniformity lejepa visreg",
    "multi-modal": "convirt factor_cl three_towers cmcr",
}


def test_the_registry_holds_the_promised_losses_and_every_one_is_checked() -> None:
    promised = sorted(itertools.chain.from_iterable(names.split() for names in PROMISED.values()))
    assert promised == list(losses)
    assert len(promised) == 39
    assert set(SPECS) | set(INPUTS) <= set(losses)


@pytest.mark.parametrize("name", list(losses))
def test_contract(name: str) -> None:
    assert check_loss(SPECS.get(name, name), inputs=INPUTS.get(name)) == tuple(CHECKS)


@pytest.mark.parametrize("name", list(losses))
def test_every_entry_is_documented(name: str) -> None:
    entry = losses[name]
    assert entry.modality in ("any", "time_series", "tabular")
    assert entry.reference
    assert entry.summary.endswith(".")
    assert issubclass(entry.target, Loss)
    assert set(entry.target.flags()) == set(FLAGS)


# losses of views (n, d), which one check guards
OF_ROWS = [name for name in losses if name not in ("exp_clr", "hierarchical", "temporal_cpc")]


@pytest.mark.parametrize("name", OF_ROWS)
def test_half_precision_goes_with_float32_and_float64_goes_alone(name: str) -> None:
    loss = losses.build(SPECS.get(name, name))
    drawn = (INPUTS.get(name) or default_inputs(loss))(6, gen())
    single = {key: value.float() if value.is_floating_point() else value for key, value in drawn.items()}
    embeddings = [key for key, value in single.items() if value.is_floating_point() and value.ndim > 1]
    for low in (torch.float16, torch.bfloat16):
        for key in embeddings:
            half = {k: v.to(low).requires_grad_() if k == key else v for k, v in single.items()}
            value = call(loss, half)
            torch.testing.assert_close(value, call(loss, half | {key: half[key].detach().float()}))
            if value.requires_grad:
                value.backward()
                assert half[key].grad is None or half[key].grad.dtype == low
    one, *others = embeddings
    if others:
        with pytest.raises(ValueError, match=rf"{one}( is|=).*float64"):
            call(loss, single | {one: single[one].double()})


@pytest.mark.parametrize("name", list(losses))
def test_what_is_no_tensor_is_refused_by_name(name: str) -> None:
    loss = losses.build(SPECS.get(name, name))
    drawn = (INPUTS.get(name) or default_inputs(loss))(6, gen())
    arguments = {key: value.float() if value.is_floating_point() else value for key, value in drawn.items()}
    first = next(iter(arguments))
    for wrong, given in ((arguments[first].tolist(), "list"), (arguments[first].numpy(), "numpy.ndarray")):
        with pytest.raises(ValueError, match=rf"{first} must be a tensor for .*; got {given}: give torch.as_tensor"):
            call(loss, arguments | {first: wrong})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"nt_xent": {"temperature": "1e-2"}}, r"temperature must be a number; got the text '1e-2': write 0\.01"),
        ({"nt_xent": {"temperature": True}}, "temperature must be a number; got True"),
        ({"convirt": {"weight": "half"}}, "weight must be a number; got the text 'half'"),
        ({"decoupled": {"weighted": "no"}}, "weighted must be True or False; got the text 'no'"),
        ({"triplet": {"normalize": 1}}, "normalize must be True or False; got 1"),
        ({"swav": {"dim": 8, "n_prototypes": 2.5}}, r"n_prototypes must be a whole number; got 2\.5"),
        ({"swav": {"iterations": True}}, "iterations must be a whole number; got True"),
        ({"three_towers": {"dim": 8, "third_dim": 0}}, "third_dim must be at least 1; got 0"),
        (
            {"three_towers": {"dim": 8, "third_dim": 8, "head_dim": "4"}},
            "head_dim must be a whole number; got the text",
        ),
        ({"three_towers": {"dim": 8, "third_dim": 8, "max_scale": "1e2"}}, r"max_scale must be .*: write 100\.0"),
        ({"factor_cl": {"dim_a": 8, "dim_b": 8, "condition_dim": 0}}, "condition_dim must be at least 1; got 0"),
        ({"sigmoid": {"bias": float("nan")}}, "bias must be finite; got nan"),
        ({"sigmoid": {"bias": "-1e1"}}, r"bias must be a number; got the text '-1e1': write -10\.0"),
        ({"sigmoid": {"learnable": None}}, "learnable must be True or False; got None"),
    ],
)
def test_parameters_of_another_kind_are_refused_by_name(spec: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        losses.build(spec)


def test_complex_labels_are_refused() -> None:
    z = torch.eye(4)
    with pytest.raises(ValueError, match=r"labels must be real for sup_con; got torch\.complex64"):
        losses.build("sup_con")(z, z, labels=torch.zeros(4, dtype=torch.complex64))


def test_options_pass_the_checks() -> None:
    for spec in (
        {"triplet": {"mining": "all"}},
        {"triplet": {"mining": "hard", "normalize": False}},
        {"contrastive": {"normalize": True}},
        {"lifted_structured": {"normalize": True}},
        {"soft_nearest_neighbour": {"learn_temperature": True}},
        {"negative_cosine": {"squared_distance": True, "stop_gradient": False}},
        {"alignment_uniformity": {"exponent": 1.5}},
        {"binary_logistic": {"positive_rate": 0.05}},
    ):
        assert check_loss(spec) == tuple(CHECKS)


def test_conditions_that_are_labels() -> None:
    loss = {"factor_cl": {"dim_a": 8, "dim_b": 8, "condition_dim": 3, "hidden_dim": 16}}

    def draw(n: int, generator: torch.Generator) -> dict[str, Tensor]:
        one_hot = torch.eye(3, dtype=torch.float64)[torch.arange(n) % 3]
        return views("a", "b")(n, generator) | {"condition_a": one_hot, "condition_b": one_hot.clone()}

    assert check_loss(loss, inputs=draw) == tuple(CHECKS)


# --- broken losses fail: one for every check -------------------------------------------------------------------------


class Distance(Loss):
    """A loss that passes all the checks: mean squared distance of two views."""

    symmetric = True

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        for name, view in (("a", a), ("b", b)):
            if view.shape != a.shape or not bool(torch.isfinite(view).all()):
                raise ValueError(f"{name} must be finite and of the shape of a and b")
        with torch.autocast("cpu", enabled=False):
            dtype = torch.promote_types(a.dtype, torch.float32)
            return (a.to(dtype) - b.to(dtype)).square().mean() / self.temperature


class NotALoss(torch.nn.Module):
    needs_labels = needs_groups = needs_negatives = gathers = False
    symmetric = True

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean()


class IgnoresLabels(Distance):
    needs_labels = True

    def forward(self, a: Tensor, b: Tensor, *, labels: Tensor) -> Tensor:
        if labels.shape != (len(a),):
            raise ValueError("labels must hold one entry a row")
        return super().forward(a, b)


class DoesWithoutGroups(Distance):
    needs_groups = True

    def forward(self, a: Tensor, b: Tensor, *, groups: Tensor | None = None) -> Tensor:
        return super().forward(a, b) + (0.0 if groups is None else a[groups == 0].sum())


class UselessLabels(Distance):
    def forward(self, a: Tensor, b: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return super().forward(a, b)


class OneWay(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b) + (a**3).mean()


class TwoWays(Distance):
    symmetric = False


class ClaimsNegatives(Distance):
    needs_negatives = True


class HidesNegatives(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        off_diagonal = ~torch.eye(len(a), dtype=torch.bool)
        return super().forward(a, b) + torch.relu((a.float() @ b.float().T)[off_diagonal]).sum().to(a.dtype)


class NoGradient(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b) * 0.0


class PerRow(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b) * torch.ones(len(a), dtype=a.dtype)


class OrderMatters(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        weights = torch.arange(len(a), dtype=a.dtype)[:, None]
        return super().forward(a * (1 + weights), b * (1 + weights))


class NeedsTwoRows(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b) * len(a) / (len(a) - 1)


class UnsafeRoot(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b).sqrt()


class HalfPrecision(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a.to(torch.bfloat16), b.to(torch.bfloat16)).to(a.dtype)


class BadAtHalf(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b).to(a.dtype)


class Raises(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b) + torch.linalg.inv(a @ b.T).diagonal().mean() * 0.0


class Overflows(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(a, b) + torch.exp(torch.tensor(1.0 / self.temperature)).to(torch.float32)


class AcceptsAnything(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return super().forward(torch.nan_to_num(a, 0.0, 0.0), torch.nan_to_num(b, 0.0, 0.0))


class NamesNothing(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        if not bool(torch.isfinite(a - b).all()):
            raise ValueError("a loss needs finite embeddings")
        return super().forward(a, b)


class Broadcasts(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        m = min(len(a), len(b))
        return super().forward(a[:m], b[:m])


class WritesInput(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        value = super().forward(a, b)
        a.data.mul_(2)
        return value


class Dice(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        value = super().forward(a, b)
        torch.rand(1)
        return value


class LosesItsConfig(Distance):
    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__(temperature * 2)


class Counts(Distance):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        self.calls = getattr(self, "calls", 0) + 1
        return super().forward(a, b)


class StreamsState(Distance):
    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.register_buffer("mean", torch.zeros(()), persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        value = super().forward(a, b) + self.mean
        self.mean = self.mean + a.detach().mean().square().to(self.mean.dtype)
        return value


BROKEN: list[tuple[type, str, str]] = [
    (NotALoss, "flags_are_frozen", "subclass of kinview.losses.base.Loss"),
    (IgnoresLabels, "needs_labels", "labels change nothing"),
    (UselessLabels, "needs_labels", "labels is an argument that does nothing"),
    (DoesWithoutGroups, "needs_groups", "without groups: groups must be refused"),
    (OneWay, "symmetric", "swapping the views must leave the value"),
    (TwoWays, "symmetric", "swapping the views leaves the value: declare symmetric"),
    (ClaimsNegatives, "needs_negatives", "the gradient of a row does not change with the others"),
    (HidesNegatives, "needs_negatives", "other rows act as negatives: declare needs_negatives"),
    (NoGradient, "scalar_with_gradient", "every gradient is zero"),
    (OrderMatters, "row_order", "the order of the rows must not count"),
    (NeedsTwoRows, "few_rows", "a batch of 1: the value is inf"),
    (Raises, "duplicates", "it raises"),
    (UnsafeRoot, "duplicates", "rows of zeros: the gradient of a is not finite"),
    (HalfPrecision, "precision", "float64 must be computed in float64"),
    (BadAtHalf, "precision", "torch.bfloat16 must be computed in float32"),
    (Overflows, "small_temperature", "temperature 0.01 in torch.float32: the value is inf"),
    (NamesNothing, "non_finite", "the error must say what a is, has, holds or must be"),
    (AcceptsAnything, "non_finite", "nan in a: a must be refused"),
    (Broadcasts, "shapes", "a row less in a must be refused"),
    (WritesInput, "inputs_unchanged", "a was modified"),
    (Dice, "no_global_randomness", "the global random generator of torch was used"),
    (LosesItsConfig, "config_round_trip", "comes back as"),
    (Counts, "state_in_buffers", "a call changed a plain attribute"),
    (StreamsState, "state_in_buffers", "the state_dict does not hold all of the state"),
]


@pytest.fixture
def registered(request: pytest.FixtureRequest) -> Iterator[type]:
    """A loss registered for one test."""
    list(losses)
    losses.register("under_test")(request.param)
    yield request.param
    del losses._entries["under_test"]


@pytest.mark.parametrize("registered", [Distance], indirect=True)
def test_a_plug_in_passes(registered: type) -> None:
    assert check_loss(registered()) == tuple(CHECKS)
    assert check_loss("under_test") == tuple(CHECKS)


class Anchored(Distance):
    def forward(self, anchor: Tensor, a: Tensor, b: Tensor) -> Tensor:
        if anchor.shape != a.shape or not bool(torch.isfinite(anchor).all()):
            raise ValueError("anchor must be finite and of the shape of a and b")
        return super().forward(a, b) + super().forward(a + b, anchor)


@pytest.mark.parametrize("registered", [Anchored], indirect=True)
def test_the_views_to_swap_can_be_named(registered: type) -> None:
    assert check_loss(registered(), views=("a", "b")) == tuple(CHECKS)
    with pytest.raises(AssertionError, match="fails the check 'symmetric'"):
        check_loss(registered())


@pytest.mark.parametrize(("registered", "check", "message"), BROKEN, indirect=["registered"])
def test_a_failed_check_is_noticed(registered: type, check: str, message: str) -> None:
    with pytest.raises(AssertionError, match=f"{registered.__name__} fails the check '{check}'") as caught:
        check_loss(registered())
    assert message in str(caught.value)


@pytest.mark.parametrize("registered", [BadAtHalf], indirect=True)
def test_a_loss_of_low_precision_is_told_the_remedy(registered: type) -> None:
    with pytest.raises(AssertionError, match=r"'precision'.* widen\(view\) within full_precision\(view\), both from"):
        check_loss(registered())


def test_inputs_that_do_not_fit_are_told_from_a_failed_check() -> None:
    with pytest.raises(ValueError, match="the given inputs do not fit Triplet, which raises TypeError"):
        check_loss("triplet", inputs=views("a"))


def test_every_check_has_a_loss_that_fails_it() -> None:
    assert {check for _, check, _ in BROKEN} == set(CHECKS)


def test_a_loss_without_a_name_has_no_config() -> None:
    with pytest.raises(AssertionError, match="'config_round_trip': the loss has no config"):
        check_loss(Distance())


def test_arguments_that_cannot_be_guessed_are_named() -> None:
    class Odd(Distance):
        def forward(self, a: Tensor, b: Tensor, *, clock: Tensor) -> Tensor:
            return super().forward(a, b)

    with pytest.raises(ValueError, match="cannot make the arguments clock of Odd: give inputs="):
        check_loss(Odd())


@pytest.mark.parametrize("name", ["hierarchical", "mixup_contrastive", "swav"])
def test_default_inputs_that_do_not_fit_are_said_to_be_so(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"the default inputs, views \(n, 8\), do not fit .*, which raises .* give inputs="
    ):
        check_loss(name)


class Forgetful(Distance):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.factor = scale


def test_an_argument_that_is_not_kept_is_named() -> None:
    assert repr(Forgetful(2.0)) == "Forgetful()"
    with pytest.raises(AssertionError, match=r"argument scale is not kept .* write self.scale = scale in __init__"):
        check_loss(Forgetful())


def test_the_repr_shows_what_was_changed() -> None:
    assert repr(losses.build("triplet")) == "Triplet()"
    assert repr(losses.build({"triplet": {"margin": 0.5, "mining": "all"}})) == "Triplet(margin=0.5, mining='all')"


def test_authors_find_the_checks_beside_the_base_class() -> None:
    with pytest.raises(ValueError, match="mine needs at least one row"):
        base.check_views("mine", a=torch.zeros(0, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16), base.full_precision(torch.zeros(1)):
        assert (base.widen(torch.ones(2, 2).half()) @ torch.ones(2, 2)).dtype == torch.float32
