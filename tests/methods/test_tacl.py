"""TaCL: its loss by slow transcription, the frozen teacher, tokens that are not there, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor

import kinview
from helpers import NAN, draw, gen, pad
from kinview.data import Batch
from kinview.data.gaps import ends_marked
from kinview.methods import MaskedReconstruction, TabularTaCL, TaCL, TaCLMethod
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

SERIES_ENCODER = {"dilated_conv": {"repr_dim": 8, "hidden_dim": 6, "depth": 2, "dropout": 0.0}}
PATCHES = {"patch_transformer": {"repr_dim": 8, "heads": 2, "depth": 1, "patch_length": 3, "stride": 3, "dropout": 0.0}}
TABLE_ENCODER = {
    "ft_transformer": {
        "repr_dim": 8, "heads": 2, "depth": 1, "attention_dropout": 0.0, "feed_forward_dropout": 0.0
    }
}  # fmt: skip
ESTIMATORS: dict[str, Any] = {"time_series": TaCL, "tabular": TabularTaCL}
ENCODERS = {"time_series": SERIES_ENCODER, "tabular": TABLE_ENCODER}
MASKS = {"time_series": {"binomial_mask": {"p": 0.3}}, "tabular": {"cell_dropout": {"p": 0.3}}}
NO_MASK = {"time_series": {"binomial_mask": {"p": 0.0}}, "tabular": {"cell_dropout": {"p": 0.0}}}
CARDINALITIES = (0, 4, 0, 0)
SIZES = {"time_series": Sizes(channels=2, length=12), "tabular": Sizes(cardinalities=CARDINALITIES)}
both = pytest.mark.parametrize("modality", ESTIMATORS)


def built(modality: str, **parameters: Any) -> TaCLMethod:
    given = {"encoder": ENCODERS[modality], "mask": MASKS[modality], **parameters}
    with forked_generators(0, torch.device("cpu")):
        return TaCLMethod(ESTIMATORS[modality](**given), SIZES[modality]).double()


def moved(method: TaCLMethod) -> TaCLMethod:
    """The method with a student that is no longer its teacher."""
    with torch.no_grad():
        for weight in method.encoder.parameters():
            weight.add_(0.3 * torch.randn(weight.shape, generator=gen(7), dtype=weight.dtype))
    return method


def samples(modality: str) -> Batch:
    if modality == "tabular":
        x = draw(6, 4)
        x[:, 1] = torch.arange(6) % 4  # the code 0 is a category that fit has not seen
        x[0, 0] = x[1, 1] = x[2, 3] = NAN
        return Batch.of(x)
    x = draw(5, 2, 12)
    x[0, 0, 3:5] = NAN  # of one channel alone
    x[1, :, 8:] = NAN  # a shorter series
    x[2, :, 4:6] = NAN
    return Batch.of(x)


def gradient(method: TaCLMethod, views: list[Batch]) -> tuple[float, Tensor]:
    loss = method.loss(views).loss
    slopes = torch.autograd.grad(loss, list(method.encoder.parameters()), allow_unused=True, materialize_grads=True)
    return loss.item(), torch.cat([slope.flatten() for slope in slopes])


def contrast_slowly(student: Tensor, teacher: Tensor, there: Any, masked: Any, temperature: float) -> float:
    terms = []
    for r in range(len(student)):
        present = [j for j in range(student.shape[1]) if there[r][j]]
        for i in present:
            if masked[r][i] and len(present) > 1:
                logits = np.array([
                    float(F.cosine_similarity(student[r, i], teacher[r, j], dim=0)) / temperature for j in present
                ])  # fmt: skip
                terms.append(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[present.index(i)])
    return float(np.mean(terms))


# --- the loss --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [SERIES_ENCODER, PATCHES], ids=["steps", "patches"])
def test_the_loss_of_series_is_that_of_the_docstring(encoder: Any) -> None:
    mask = {"continuous_mask": {"spans": 2, "length": 0.4}} if encoder is PATCHES else MASKS["time_series"]
    method = moved(built("time_series", encoder=encoder, mask=mask, temperature=0.2, reconstruction_weight=0.7)).eval()
    whole, view = method.views(samples("time_series"), gen(3), 0.5)
    width = 3 if encoder is PATCHES else 1
    places = range(12 // width)

    def anything(x: Tensor) -> list[list[bool]]:
        """Whether a token has an observed value; the shorter series ends after 8 steps, in its third patch of 3."""
        found = []
        for r in range(len(x)):
            length = 8 if r == 1 else 12
            count = math.ceil(length / width)
            of_token: list[set[int]] = [set() for _ in places]
            for t in range(length):
                of_token[t * count // length].add(t)
            found.append([any(not bool(x[r, :, t].isnan().all()) for t in steps) for steps in of_token])
        return found

    there, left = anything(whole.x), anything(view.x)
    masked = [[a and not b for a, b in zip(*row, strict=True)] for row in zip(there, left, strict=True)]
    assert 3 <= sum(map(sum, masked)) < sum(map(sum, there)) and sum(there[1]) < len(there[1])
    with torch.no_grad():
        student = method.encoder(view.x, times=view.times).transpose(1, 2)
        teacher = method.teacher.copies[0](whole.x, times=whole.times).transpose(1, 2)
        values = method.decoder.layers(student)  # (n, tokens, steps of a token · channels)
    expected = contrast_slowly(student, teacher, there, masked, 0.2)
    errors = []
    for r in range(5):
        length = 8 if r == 1 else 12
        count = math.ceil(length / width)
        for t in range(length):
            token = t * count // length
            first = min(step for step in range(length) if step * count // length == token)
            for c in range(2):
                if masked[r][token] and not math.isnan(whole.x[r, c, t]):
                    decoded = values[r, token].reshape(-1, 2)[t - first, c]
                    errors.append(float(decoded - whole.x[r, c, t]) ** 2)
    found = method.loss([whole, view])
    assert found.logs["contrastive"] == pytest.approx(expected, abs=1e-10)
    assert found.logs["reconstruction"] == pytest.approx(np.mean(errors), abs=1e-10)
    assert found.loss.item() == pytest.approx(expected + 0.7 * np.mean(errors), abs=1e-10)


def test_the_loss_of_tables_is_that_of_the_docstring() -> None:
    method = moved(built("tabular", temperature=0.2, contrastive_weight=0.5, reconstruction_weight=2.0)).eval()
    whole, view = method.views(samples("tabular"), gen(3), 0.5)
    there = (~whole.x.isnan()).tolist()
    masked = (view.x.isnan() & ~whole.x.isnan()).tolist()
    assert 3 <= sum(map(sum, masked)) < sum(map(sum, there))
    encoder, decoder = method.encoder, method.decoder

    def tokens(network: Any, x: Tensor) -> Tensor:
        out = torch.cat([network.cls.expand(len(x), 1, -1), network.tokenizer(x)], dim=1)
        for layer in network.layers:
            out = layer(out)
        return network.norm(out[:, 1:])

    with torch.no_grad():
        student, teacher = tokens(encoder, view.x), tokens(method.teacher.copies[0], whole.x)
        hidden = torch.einsum("nfd,fdh->nfh", student, decoder.hidden_weight) + decoder.hidden_bias
        outputs = torch.einsum("nfh,fho->nfo", hidden.clamp_min(0), decoder.out_weight) + decoder.out_bias
    expected = contrast_slowly(student, teacher, there, masked, 0.2)
    errors = []
    for r in range(6):
        for j, size in enumerate(CARDINALITIES):
            if not masked[r][j] or (size and whole.x[r, j] == 0):
                continue
            if size:
                errors.append(-float(outputs[r, j, : size - 1].log_softmax(0)[int(whole.x[r, j]) - 1]))
            else:
                errors.append(float(outputs[r, j, 0] - whole.x[r, j]) ** 2)
    found = method.loss([whole, view])
    assert found.logs["contrastive"] == pytest.approx(expected, abs=1e-10)
    assert found.loss.item() == pytest.approx(0.5 * expected + 2.0 * np.mean(errors), abs=1e-10)


# --- the defining parts ----------------------------------------------------------------------------------------------


@both
def test_without_a_mask_there_is_nothing_to_learn(modality: str) -> None:
    method = moved(built(modality, mask=NO_MASK[modality])).train()
    loss, slopes = gradient(method, method.views(samples(modality), gen(3), 0.5))
    assert loss == 0 and not bool(slopes.any())
    masked = moved(built(modality)).train()
    loss, slopes = gradient(masked, masked.views(samples(modality), gen(3), 0.5))
    assert loss > 0 and bool(slopes.any())


@both
def test_the_teacher_is_the_network_as_it_was(modality: str) -> None:
    method = moved(built(modality)).eval()
    views = method.views(samples(modality), gen(3), 0.5)
    frozen = gradient(method, views)
    method.after_step(0.5, views, {})
    assert gradient(method, views)[0] == frozen[0]
    following = moved(built(modality, momentum=0.0)).eval()
    assert gradient(following, views)[0] == frozen[0]  # before the first step
    following.after_step(0.5, views, {})
    loss, slopes = gradient(following, views)
    assert abs(loss - frozen[0]) > 0.01 and float((slopes - frozen[1]).norm() / frozen[1].norm()) > 0.01
    assert not any(weight.requires_grad for weight in method.teacher.parameters())
    method.train()
    assert not any(part.training for part in method.teacher.modules())


def small_set(modality: str, n: int = 48) -> Any:
    random = np.random.default_rng(0)
    if modality == "time_series":
        return random.normal(size=(n, 1, 24)).cumsum(axis=2)
    factors = random.normal(size=(n, 2))
    return pd.DataFrame(factors @ random.normal(size=(2, 6)) + 0.1 * random.normal(size=(n, 6)), columns=list("abcdef"))


def trained(modality: str, **parameters: Any) -> Any:
    trainer = {"max_steps": 300, "batch_size": 16, "lr": 3e-3}
    given = {"encoder": ENCODERS[modality], "mask": MASKS[modality], "trainer": trainer, **parameters}
    return ESTIMATORS[modality](**given, random_state=0).fit(small_set(modality))


def found_by(model: Any, modality: str) -> float:
    """Contrast of the model's student with the network that it began as, at masked tokens."""
    X = small_set(modality)
    begun = ESTIMATORS[modality](**model.get_params(deep=False)).initialise(X).method_
    method = model.method_
    views = method.views(model.to_batch(X), gen(1), 1.0)
    there = method._observed(views[0])
    with torch.no_grad():
        student, teacher = method._tokens(method.encoder, views[1]), begun._tokens(begun.encoder, views[0])
        return float(method.contrast(student, teacher, masked=there & ~method._observed(views[1]), observed=there))


@both
def test_a_student_learns_to_find_what_its_frozen_teacher_made_of_masked_tokens(modality: str) -> None:
    frozen = trained(modality)
    begun = ESTIMATORS[modality](**frozen.get_params(deep=False)).initialise(small_set(modality))
    following = trained(modality, momentum=0.0)
    for taught, kept in ((frozen, begun), (following, following)):
        weights = kept.method_.encoder.state_dict()
        of_teacher = taught.method_.teacher.copies[0].state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in of_teacher.items())
    alone = trained(modality, contrastive_weight=0.0)
    others = [found_by(model, modality) for model in (begun, following, alone)]
    assert found_by(frozen, modality) < 0.85 * min(others), others


def test_without_the_contrast_it_is_masked_reconstruction() -> None:
    X = small_set("time_series")
    mask = MASKS["time_series"]
    alone = trained("time_series", contrastive_weight=0.0)
    other = MaskedReconstruction(mask, SERIES_ENCODER, "mean", trainer=alone.trainer, random_state=0).fit(X)
    np.testing.assert_allclose(alone.transform(X), other.transform(X), atol=1e-5)
    assert np.abs(np.asarray(trained("time_series").transform(X)) - np.asarray(other.transform(X))).max() > 0.01


@both
def test_other_samples_give_no_negatives(modality: str) -> None:
    method = moved(built(modality, reconstruction_weight=0.0)).eval()
    views = method.views(samples(modality), gen(3), 0.5)
    n = len(views[0])
    masked = (method._observed(views[0]) & ~method._observed(views[1])).sum(dim=1)
    alone = [method.loss([view.rows(torch.tensor([r])) for view in views]).loss for r in range(n)]
    expected = (torch.stack(alone) * masked).sum() / masked.sum()
    torch.testing.assert_close(method.loss(views).loss, expected)


# --- gaps, lengths, few rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [SERIES_ENCODER, PATCHES], ids=["steps", "patches"])
def test_what_lies_beyond_the_end_changes_nothing(encoder: Any) -> None:
    method = moved(built("time_series", encoder=encoder, mask="continuous_mask")).eval()
    views = method.views(samples("time_series"), gen(3), 0.5)
    longer = [view.replace(x=pad(view.x, 6), times=F.pad(ends_marked(view).times, (0, 6), value=NAN)) for view in views]
    torch.testing.assert_close(method.loss(longer).loss, method.loss(views).loss)


@both
def test_a_token_that_is_not_there_is_neither_predicted_nor_a_negative(
    modality: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = built(modality)
    whole, view = method.views(samples(modality), gen(3), 0.5)
    seen: dict[str, Tensor] = {}

    def noted(student: Tensor, teacher: Tensor, *, masked: Tensor, observed: Tensor) -> Tensor:
        seen.update(masked=masked, observed=observed)
        return student.sum() * 0.0

    monkeypatch.setattr(method.contrast, "forward", noted)
    method.loss([whole, view])
    missing = whole.x.isnan() if modality == "tabular" else whole.x.isnan().all(dim=1)
    assert bool(missing.any())
    assert torch.equal(seen["observed"], ~missing)
    assert not bool((seen["masked"] & missing).any()) and bool(seen["masked"].any())


def test_a_series_of_which_nothing_is_left_is_left_out() -> None:
    method = built("time_series").eval()
    whole, view = method.views(samples("time_series"), gen(3), 0.5)
    empty = view.x.clone()
    empty[0] = NAN
    kept = torch.arange(1, 5)
    expected = method.loss([whole.rows(kept), view.rows(kept)]).loss
    torch.testing.assert_close(method.loss([whole, view.replace(x=empty)]).loss, expected)
    nothing = method.loss([whole, view.replace(x=torch.full_like(view.x, NAN))]).loss
    assert nothing.item() == 0 and nothing.requires_grad


@both
def test_few_rows_train(modality: str) -> None:
    X = small_set(modality, 3)
    model = ESTIMATORS[modality](encoder=ENCODERS[modality], trainer={"max_epochs": 2}, random_state=0).fit(X)
    assert model.training_ is not None and np.isfinite(np.asarray(model.transform(X))).all()


@both
def test_a_saved_file_holds_no_teacher(modality: str, tmp_path: Path) -> None:
    X = small_set(modality)
    model = ESTIMATORS[modality](encoder=ENCODERS[modality], trainer={"max_steps": 2}, random_state=0).fit(X)
    path = model.save(tmp_path / "model.safetensors")
    with safe_open(path, framework="np") as file:
        parts = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118 (not a mapping)
        assert not any("teacher" in name or "decoder" in name for name in file.keys()), parts  # noqa: SIM118
    np.testing.assert_array_equal(kinview.load_model(path).transform(X), model.transform(X))


# --- what is refused -------------------------------------------------------------------------------------------------


def test_parts_without_tokens_or_gaps_are_refused() -> None:
    X, table = small_set("time_series", 8), small_set("tabular", 8)
    with pytest.raises(ValueError, match=r"encoder must give a token for each column.* makes one vector a row"):
        TabularTaCL(encoder="mlp", random_state=0).fit(table)
    leads = {"channel_independent": {"encoder": SERIES_ENCODER}}
    with pytest.raises(
        ValueError, match="encoder must give features over time, and ChannelIndependent makes one vector"
    ):
        TaCL(encoder=leads, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"mask must be an augmentation that takes values away.*makes no gaps"):
        TaCL("jitter", SERIES_ENCODER, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"mask must be .* the others as they are.*cell_dropout.*makes no gaps"):
        TabularTaCL("swap_noise", TABLE_ENCODER, random_state=0).fit(table)
    with pytest.raises(ValueError, match=r"momentum must be"):
        TaCL(momentum=1.5).fit(X)


# --- encoders with fewer features than steps -------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["resnet1d", "patch_transformer", "tstcc_cnn", "fcn"])
@pytest.mark.parametrize("length", [40, 64, 150])
def test_the_usual_mask_hides_tokens_of_any_encoder(encoder: str, length: int) -> None:
    method = TaCLMethod(TaCL(encoder=encoder), Sizes(channels=1, length=length))
    batch = Batch.of(draw(200, 1, length, dtype=torch.float32))
    whole, student = method.views(batch, gen(0), 0.0)
    there = method._observed(whole)
    hidden = (there & ~method._observed(student)).sum() / there.sum()
    assert 0.05 < float(hidden) < 0.5
    assert bool(method._observed(student).any(dim=1).all())


def test_a_training_in_which_no_token_was_hidden_says_so() -> None:
    X = draw(16, 1, 32, dtype=torch.float32).numpy()
    trainer = {"max_steps": 3, "batch_size": 8}
    for mask, encoder in (("time_warp", SERIES_ENCODER), ({"binomial_mask": {"p": 0.01}}, "resnet1d")):
        with pytest.warns(UserWarning, match="has hidden no token at any step, so that nothing was learned"):
            TaCL(mask, encoder, trainer=trainer, random_state=0).fit(X)
    TaCL(encoder="resnet1d", trainer=trainer, random_state=0).fit(X)  # without a warning


def test_an_encoder_of_spectra_and_a_mask_in_seconds_of_series_without_any_are_refused() -> None:
    X = draw(6, 1, 40, dtype=torch.float32).numpy()
    with pytest.raises(
        ValueError, match="encoder must give features over time, and those of FrequencyEncoder follow no"
    ):
        TaCL(encoder="frequency", trainer={"max_steps": 1}).fit(X)
    with pytest.raises(ValueError, match="needs the sampling rate"):
        TaCL(["baseline_wander", "binomial_mask"], SERIES_ENCODER, trainer={"max_steps": 1}).fit(X)
