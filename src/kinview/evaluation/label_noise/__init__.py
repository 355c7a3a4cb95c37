"""Wrong labels made on purpose, at an exact rate and reported as realised."""

from kinview.registry import Registry

__all__ = ["label_noise"]

label_noise = Registry("label_noise", members=("kinview.evaluation.label_noise.symmetric",))
