"""Torch modules that turn samples into representations; they know nothing of views or losses."""

from kinview.registry import Registry

__all__ = ["encoders"]

encoders = Registry("encoders", members=("kinview.encoders.dilated_conv", "kinview.encoders.mlp"))
