"""A corruption of one's own, the suite that it passes, and what it costs a probe beside random gaps."""

import dataclasses

import numpy as np

import kinview
from kinview.evaluation import Corruption, corrupt, realised_rate
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.probes import probes
from kinview.methods import RawFeatures
from kinview.testing import check_corruption


@corruptions.register("loose_contact", modality="time_series")
@dataclasses.dataclass(frozen=True)
class LooseContact(Corruption):
    """Remove values that jump, as where a sensor has moved: those farthest from the step before go first."""

    needs = frozenset({"samples", "values"})

    def remove(self, cells, generator):
        order = np.lexsort((cells.step, cells.sample))  # each series in the order of time
        jump = np.zeros(cells.observed.shape)
        before = cells.values[order]
        step = np.abs(np.diff(before, axis=0, prepend=before[:1]))
        step[cells.step[order] == 0] = 0.0
        jump[order] = np.nan_to_num(step)
        places = generator.permutation(np.flatnonzero(cells.observed))  # ties go in a random order
        first = places[np.argsort(-jump.ravel()[places], kind="stable")]
        removed = np.zeros(cells.observed.size, dtype=bool)
        removed[first[: round(self.rate * len(first))]] = True  # the order does not depend on the rate
        return removed.reshape(cells.observed.shape)


checks = check_corruption("loose_contact")
print(f"loose_contact passes {len(checks)} checks")

data = kinview.load("italy_power_demand")
for mechanism in ("mcar", "loose_contact"):
    train, _ = corrupt(data.X_train, mechanism, (0, 0), rate=0.4)
    test, removed = corrupt(data.X_test, mechanism, (0, 1), rate=0.4)
    raw = RawFeatures().fit(train)
    probe = probes.build("ridge").fit(raw.transform(train), data.y_train)
    accuracy = float((probe.predict(raw.transform(test)) == data.y_test).mean())
    rate = realised_rate(data.X_test, removed)
    print(f"{mechanism}: {rate:.0%} of the values are gone, accuracy {accuracy:.2f}")
    assert abs(rate - 0.4) < 0.001 and accuracy > 0.7
