"""The Rocket family against features of sktime, given its kernels and thresholds, and of the official code of Hydra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import kinview
from kinview.methods.controls.rocket.hydra import CompetingKernels
from kinview.methods.controls.rocket.kernels import dilations_for
from kinview.methods.controls.rocket.pools import Pooling, pooled_features
from kinview.training.method import Sizes

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def found(request):
    path = request.path.parents[1] / "golden" / "rocket.npz"
    return dict(np.load(path))


def _features(x, thresholds, subsets=None, pooling=Pooling(), *, features, length=None):  # noqa: B008
    series = torch.tensor(x).float()
    steps = series.shape[2]
    dilations = dilations_for(length or steps, features, 32)
    members = None if subsets is None else torch.tensor(subsets)
    lengths = torch.full((len(series),), steps)
    return pooled_features(series, lengths, dilations, torch.tensor(thresholds), members, pooling).numpy()


def test_minirocket_equals_sktime(found):
    z = _features(found["one"], found["minirocket_thresholds"], features=420)
    np.testing.assert_allclose(z, found["minirocket"], atol=TOLERANCE)


def test_minirocket_of_several_channels_equals_sktime(found):
    z = _features(found["many"], found["multivariate_thresholds"], found["multivariate_subsets"], features=420)
    np.testing.assert_allclose(z, found["multivariate"], atol=TOLERANCE)


def test_multirocket_equals_sktime(found):
    of_values = _features(found["one"], found["multirocket_thresholds"], None, Pooling(True), features=168)
    changed = np.diff(found["one"].astype(np.float64), axis=2)
    of_changes = _features(
        changed, found["multirocket_difference_thresholds"], None, Pooling(True, early=True), features=168
    )
    z = np.concatenate([of_values, of_changes], axis=1)
    np.testing.assert_allclose(z, found["multirocket"], rtol=TOLERANCE, atol=TOLERANCE)


def test_without_the_late_taps_the_differences_are_others(found):
    changed = np.diff(found["one"], axis=2)
    z = _features(changed, found["multirocket_difference_thresholds"], None, Pooling(True), features=168)
    assert np.abs(z - found["multirocket"][:, 672:]).max() > 0.01


def test_hydra_equals_the_official_code(found):
    class Parameters:
        kernels, groups = 8, 4

    for name, channels in (("one", 1), ("many", 3)):
        x = torch.tensor(found[name])
        competing = CompetingKernels(Parameters(), Sizes(channels=channels, length=x.shape[2]))
        competing.weights.copy_(torch.tensor(found[f"hydra_{name}_weights"]))
        if channels > 1:
            competing.members.copy_(torch.tensor(found[f"hydra_{name}_members"]))
        z = competing(kinview.Batch.of(x)).numpy()
        np.testing.assert_allclose(z, found[f"hydra_{name}"], rtol=TOLERANCE, atol=TOLERANCE)
