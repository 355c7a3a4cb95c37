"""A method of one's own: a network that fills in hidden steps. It passes the checks of the package's methods."""

from typing import Any, ClassVar

import torch
from torch import nn

import kinview
from kinview.encoders import encoders, pooled
from kinview.evaluation.probes import probes
from kinview.methods import methods
from kinview.methods.estimators import SeriesEstimator, random_state, scaling, trainer
from kinview.parameters import parameterised, real, whole
from kinview.testing import check_method
from kinview.training import LossResult, Method, Sizes


class HiddenStepsMethod(Method):
    """Steps are hidden from an encoder, and a linear layer says from its features what they were."""

    training_defaults: ClassVar[dict[str, Any]] = {"batch_size": 16, "lr": 1e-3, "max_steps": 80}

    def __init__(self, parameters: "HiddenSteps", sizes: Sizes) -> None:
        super().__init__(sizes)
        small = {"repr_dim": parameters.repr_dim, "hidden_dim": 8, "depth": 2, "fill": "linear"}
        self.encoder = encoders.build({"dilated_conv": small}, channels=sizes.channels)
        self.decoder = nn.Conv1d(parameters.repr_dim, sizes.channels, 1)
        self.fraction = parameters.fraction

    def views(self, batch, generator, progress):
        """One view: the series, and which steps the encoder does not see."""
        hide = torch.rand(len(batch), batch.x.shape[2], generator=generator) < self.fraction
        return [batch.replace(extra={**batch.extra, "hide": hide.to(batch.x.device)})]

    def loss(self, views):
        """Mean squared error of what was observed in the hidden steps."""
        (view,) = views
        hide = view.extra["hide"]
        asked = hide[:, None, :] & ~view.x.isnan()
        if not asked.any():
            return self.nothing_to_learn()
        guess = self.decoder(self.encoder(view.x, times=view.times, hide=hide))
        return LossResult((guess - view.x)[asked].square().mean())

    def embed(self, batch):
        """Mean of the features over the steps of each series."""
        return pooled(self.encoder, batch.x, batch.times, "mean")


@methods.register("hidden_steps")
@parameterised
class HiddenSteps(SeriesEstimator):
    """Fill in hidden steps, and take the features from which that can be done."""

    fraction: float = real(0.4, above=0, below=1, doc="Fraction of the steps that are hidden.")
    repr_dim: int = whole(16, low=1, doc="Size of a representation.")
    scaling: Any = scaling()
    trainer: Any = trainer("80 steps of batches of 16 with learning rate 1e-3.")
    random_state: Any = random_state()

    method_class: ClassVar[type[Method]] = HiddenStepsMethod


checks = check_method({"hidden_steps": {"repr_dim": 8}})
print(f"hidden_steps passes {len(checks)} checks")

data = kinview.load("italy_power_demand")
model = HiddenSteps(random_state=0).fit(data.X_train)
probe = probes.build("ridge").fit(model.transform(data.X_train), data.y_train)
accuracy = float((probe.predict(model.transform(data.X_test)) == data.y_test).mean())
print(f"accuracy of ridge on its representation: {accuracy:.2f}")
assert accuracy > 0.8
