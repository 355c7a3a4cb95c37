"""What more than one test file needs: draws, gaps, comparisons, kills that can be repeated, small networks."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kinview.data import Batch
from kinview.methods import methods
from kinview.parameters import parameterised

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "kinview"
NAN = float("nan")


NEEDS_POSTGRESQL = pytest.mark.skipif(
    "KINVIEW_TEST_POSTGRESQL" not in os.environ, reason="KINVIEW_TEST_POSTGRESQL names no database"
)


@contextlib.contextmanager
def postgresql_database() -> Iterator[str]:
    """URL of a PostgreSQL database of its own, on the server of the tests: tests run side by side."""
    import sqlalchemy as sa

    url = sa.make_url(os.environ["KINVIEW_TEST_POSTGRESQL"])
    name = f"kinview_{secrets.token_hex(8)}"
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


# --- files -----------------------------------------------------------------------------------------------------------


def written(folder: Path, text: str | bytes, name: str = "x.csv") -> Path:
    """A file with this content, its line ends as they are."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def docs_program(name: str) -> ModuleType:
    """One of the programs that write pages in docs, as a module."""
    folder = str(ROOT / "docs")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(folder)


# --- draws ---------------------------------------------------------------------------------------------------------


def gen(seed: int = 0) -> torch.Generator:
    """Return a generator with this seed."""
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return standard normal values."""
    return torch.randn(*shape, generator=gen(seed), dtype=dtype)


def rotation(size: int) -> Tensor:
    """Return an orthogonal matrix."""
    return torch.linalg.qr(draw(size, size, seed=9)).Q


def seeded(build: Callable[..., Any], *args: Any, **parameters: Any) -> Any:
    """Return what ``build`` builds from the seed 0; the caller's generator stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(*args, **parameters)


@contextlib.contextmanager
def random_moments(seed: int | None = None) -> Iterator[np.random.Generator]:
    """Give a generator for the moments of kills, and say its seed on standard output and beside every failure.

    ``KINVIEW_TEST_SEED`` repeats them; without it the seed is the given one, or a fresh one.
    """
    given = os.environ.get("KINVIEW_TEST_SEED")
    chosen = int(given) if given else secrets.randbits(32) if seed is None else seed
    say = f"KINVIEW_TEST_SEED={chosen} repeats these moments"
    sys.stdout.write(say + "\n")
    try:
        yield np.random.default_rng(chosen)
    except BaseException as error:
        error.add_note(say)
        raise


# --- series with gaps ----------------------------------------------------------------------------------------------


def with_gaps(x: Tensor) -> Tensor:
    """Make single gaps, a leading gap, a short series, one without observations; the rest stays complete."""
    x[0, 0, 3] = NAN
    x[0, :, 6:8] = NAN
    x[1, :, :4] = NAN
    x[2, :, 7:] = NAN
    x[3] = NAN
    return x


def pad(x: Tensor, more: int) -> Tensor:
    """Append steps without observations."""
    return torch.nn.functional.pad(x, (0, more), value=NAN)


# --- comparisons ---------------------------------------------------------------------------------------------------


def same(one: Tensor | None, other: Tensor | None) -> bool:
    """Tell whether both hold the same values and the same gaps, or are both None."""
    if one is None or other is None:
        return one is other
    return torch.equal(one.isnan(), other.isnan()) and torch.equal(one.nan_to_num(), other.nan_to_num())


def assert_same(fast: Callable[..., Tensor], slow: Callable[..., Tensor], *views: Tensor, rtol: float = 1e-9) -> None:
    """Require the same scalar, and the same gradient for each view (zero where a view does not count)."""
    results = []
    for function in (fast, slow):
        leaves = [view.clone().requires_grad_() for view in views]
        value = function(*leaves)
        assert value.shape == ()
        slopes = torch.autograd.grad(value, leaves, materialize_grads=True) if value.requires_grad else ()
        results.append((value.detach(), *(slopes or map(torch.zeros_like, views))))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=1e-11)


def extra(batch: Batch, name: str) -> Tensor:
    """Return a tensor that travels with the rows."""
    value = batch.extra[name]
    assert isinstance(value, Tensor)
    return value


# --- other processes -----------------------------------------------------------------------------------------------


def python(code: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process."""
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False, timeout=300, **options
    )


# --- estimators that note what they are given ---------------------------------------------------------------------


def given_groups(estimator: type, method: Any, seen: list[Any]) -> type:
    """Return a class like an estimator's that is given groups, whose method appends those of each batch to ``seen``."""

    class Noting(method):  # type: ignore[misc]
        def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
            seen.append(batch.groups)
            views: list[Batch] = super().views(batch, generator, progress)
            return views

    body = {"uses": frozenset({"groups"}), "method_class": Noting, "__doc__": "The same, given groups."}
    return parameterised(type(f"Grouped{estimator.__name__}", (estimator,), body))


# --- small networks ------------------------------------------------------------------------------------------------


SMALL: dict[str, dict[str, Any]] = {
    name: methods[name].for_modality("time_series").target.get_test_params()[0]
    for name in methods
    if hasattr(methods[name].for_modality("time_series").target, "get_test_params")
} | {
    "raw": {},
    "pca": {},
    "random_features": {"repr_dim": 8, "random_state": 0},
    "scarf": {"hidden_dim": 4, "depth": 1, "projector_depth": 1, "random_state": 0, "trainer": {"max_steps": 2}},
    "subtab": {"encoder": {"mlp": {"hidden_dim": 4, "depth": 1}}, "random_state": 0, "trainer": {"max_steps": 2}},
    "vime": {"encoder": {"mlp": {"hidden_dim": 4, "depth": 1}}, "random_state": 0, "trainer": {"max_steps": 2}},
    "tabular_tacl": {
        "encoder": {"ft_transformer": {"repr_dim": 4, "depth": 1, "heads": 1}}, "random_state": 0,
        "trainer": {"max_steps": 2},
    },
    "saint": {
        "repr_dim": 4, "heads": 1, "centroids": 3, "hidden_dim": 4, "projection_dim": 2, "random_state": 0,
        "trainer": {"max_steps": 2},
    },
    "transtab": {
        "repr_dim": 4, "depth": 1, "heads": 2, "hidden_dim": 4, "projection_dim": 4, "vocabulary": 32,
        "random_state": 0, "trainer": {"max_steps": 2},
    },
    "tabular_simclr": {
        "encoder": {"mlp": {"hidden_dim": 4, "depth": 1}}, "projection_dim": 2, "random_state": 0,
        "trainer": {"max_steps": 2},
    },
}  # fmt: skip
"""Parameters of a small and short-trained instance of every registered method."""

SIZES: dict[str, dict[str, Any]] = {
    name: {key: value for key, value in parameters.items() if key not in ("random_state", "trainer")}
    for name, parameters in SMALL.items()
}
"""The sizes alone, without seed and training."""

SMALL_ON_TABLES: dict[str, dict[str, Any]] = {
    name: {"encoder": SMALL["tabular_simclr"]["encoder"], "random_state": 0, "trainer": {"max_steps": 2}}
    for name in methods
    if name in ("tabular_joint_embedding", "tabular_reconstruction") or "twins" in methods[name].metadata
}
"""The same of the methods for tables that have other parameters there, or none of their own."""

SMALL |= {name: {"method": {"ts2vec": SMALL["ts2vec"]}, "random_state": 0} for name in ("random_init", "supervised")}
