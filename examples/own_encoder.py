"""An encoder of one's own, a recurrent network, and the suite that it passes like those of the package."""

import torch
from torch import nn

import kinview
from kinview.encoders import SeriesEncoder, encoders
from kinview.evaluation.probes import probes
from kinview.methods import SimCLR
from kinview.testing import check_encoder


@encoders.register("gru")
class GRUEncoder(SeriesEncoder):
    """A gated recurrent unit: the features of a step are what the steps up to it say, ``(n, C, T) -> (n, D, T)``."""

    def __init__(self, channels, repr_dim=32, depth=1, front_end="values+mask", missing="channel", fill="linear"):
        sizes = {"channels": channels, "repr_dim": repr_dim, "depth": depth}
        super().__init__(sizes, front_end=front_end, missing=missing, fill=fill)
        self.repr_dim = repr_dim
        self.network = nn.GRU(self.front_end.out_channels, repr_dim, depth, batch_first=True)

    def encode(self, features, lengths, observed):
        out, _ = self.network(features.transpose(1, 2))  # (n, T, D)
        inside = torch.arange(features.shape[2], device=lengths.device) < lengths[:, None]
        return out.transpose(1, 2) * inside[:, None, :]


checks = check_encoder({"gru": {"repr_dim": 8, "depth": 2}})
print(f"gru passes {len(checks)} checks")

data = kinview.load("italy_power_demand")
brief = {"max_steps": 15, "batch_size": 32}
model = SimCLR(encoder={"gru": {"repr_dim": 16}}, trainer=brief, random_state=0).fit(data.X_train)
probe = probes.build("ridge").fit(model.transform(data.X_train), data.y_train)
accuracy = float((probe.predict(model.transform(data.X_test)) == data.y_test).mean())
print(f"accuracy of ridge on SimCLR with it: {accuracy:.2f}")
assert accuracy > 0.7
