"""Transformers over patches and over columns: gaps, and what each is by its paper."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import NAN, gen, seeded, with_gaps
from kinview.encoders import FeatureTokenizer, FTTransformer, PatchTransformer
from kinview.encoders.patch_transformer import sinusoids


def patches(**changed: Any) -> PatchTransformer:
    small = {"channels": 2, "repr_dim": 8, "patch_length": 4, "stride": 3, "depth": 2, "heads": 2} | changed
    built: PatchTransformer = seeded(PatchTransformer, **small).eval()
    return built


def gappy(n: int = 5, steps: int = 14) -> Tensor:
    return with_gaps(torch.randn(n, 2, steps, generator=gen(1)))


def table(n: int = 6) -> Tensor:
    x = torch.cat([torch.randn(n, 2, generator=gen(2)), torch.randint(0, 4, (n, 1), generator=gen(3)).float()], dim=1)
    x[0, 0] = x[1, 2] = NAN
    x[2] = NAN
    return x


@pytest.mark.parametrize("steps", [1, 3, 4, 5, 7, 8, 100])
def test_every_step_is_in_a_patch(steps: int) -> None:
    encoder = patches()
    x = torch.randn(1, 2, steps, generator=gen())
    z = encoder(x)
    assert z.shape[2] == int(encoder.feature_lengths(torch.tensor([steps]))[0])
    for step in (0, steps - 1):
        changed = x.clone()
        changed[0, 0, step] += 1
        assert not torch.allclose(encoder(changed), z)


def test_a_gap_is_not_a_zero_once_the_mask_is_learned() -> None:
    encoder, x = patches(fill="zero"), torch.randn(1, 2, 8, generator=gen())
    gap, zero = x.clone(), x.clone()
    gap[0, 0, 2], zero[0, 0, 2] = NAN, 0.0
    torch.testing.assert_close(encoder(gap), encoder(zero))  # untrained: the network without the mask
    with torch.no_grad():
        encoder.patches.weight.add_(torch.linspace(-0.5, 0.5, 8)[:, None])
    assert not torch.allclose(encoder(gap), encoder(zero))


def test_hidden_steps_are_blank() -> None:
    encoder, x = patches(), torch.randn(2, 2, 8, generator=gen())
    hide = torch.zeros(2, 8, dtype=torch.bool)
    hide[0, 3] = True
    changed = x.clone()
    changed[0, :, 3] = 50.0
    torch.testing.assert_close(encoder(x, hide=hide), encoder(changed, hide=hide))
    assert not torch.allclose(encoder(x), encoder(x, hide=hide))


def test_positions_are_those_of_attention_is_all_you_need() -> None:
    found = sinusoids(7, 6)
    for position in range(7):
        for i in range(3):
            angle = torch.tensor(position / 10_000 ** (2 * i / 6))
            torch.testing.assert_close(found[position, 2 * i], angle.sin())
            torch.testing.assert_close(found[position, 2 * i + 1], angle.cos())


def test_the_order_of_patches_counts() -> None:
    encoder = patches(stride=4)
    x = torch.randn(1, 2, 8, generator=gen())
    swapped = torch.cat([x[:, :, 4:], x[:, :, :4]], dim=2)
    assert not torch.allclose(encoder(x).sum(dim=2), encoder(swapped).sum(dim=2), atol=1e-4)


def test_tokens_are_affine_in_numbers_and_looked_up_for_categories() -> None:
    tokenizer: FeatureTokenizer = seeded(FeatureTokenizer, [0, 4, 0], 8).eval()
    x = torch.tensor([[2.0, 3.0, -1.0], [NAN, NAN, 0.5]])
    tokens = tokenizer(x)
    w, b, m = tokenizer.weight, tokenizer.bias, tokenizer.missing
    torch.testing.assert_close(tokens[0], b + torch.stack([2 * w[0], w[1 + 3], -w[5]]))
    torch.testing.assert_close(tokens[1], b + torch.stack([m[0], m[1], 0.5 * w[5]]))


def test_the_ft_transformer_is_the_papers() -> None:
    encoder: FTTransformer = seeded(FTTransformer, [0] * 3).eval()
    assert (encoder.repr_dim, len(encoder.layers)) == (192, 3)
    per_layer = 4 * 192 * 193 + 192 * 512 + 512 + 256 * 192 + 192 + 2 * 192  # attention, ReGLU of 4/3 · 192, a norm
    norms = 2 * 2 * 192 + 2 * 192  # before the attention of the later layers, and the last one
    assert sum(p.numel() for p in encoder.parameters()) == 3 * per_layer + norms + 192 + 3 * 3 * 192
    torch.testing.assert_close(encoder(table() * 0), encoder(table() * 0))


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        (PatchTransformer, {"stride": 17}, "stride must be at most patch_length=16, or steps are lost; got 17"),
        (PatchTransformer, {"repr_dim": 100}, "repr_dim must be even and a multiple of heads=16; got 100"),
        (PatchTransformer, {"depth": 0}, "depth must be at least 1; got 0"),
        (PatchTransformer, {"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1\.0"),
        (FTTransformer, {"repr_dim": 100}, "repr_dim must be a multiple of heads=8; got 100"),
        (FTTransformer, {"heads": 2.0}, r"heads must be a whole number; got 2\.0"),
        (FTTransformer, {"attention_dropout": -0.1}, r"attention_dropout must be in \[0, 1\); got -0\.1"),
    ],
)
def test_parameters_are_checked(kind: type, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(2 if kind is PatchTransformer else [0, 3], **changed)
