"""What is loaded before the first result: seconds of start-up are modules that nobody asked for."""

from __future__ import annotations

from helpers import python

COMPILER = ("torch._dynamo", "torch._inductor", "torch.onnx", "sympy")
BESIDE = ("matplotlib", "jinja2", "sqlalchemy", "xgboost", "jsonargparse", "sktime.classification")


def loaded(code: str, heavy: tuple[str, ...]) -> str:
    """Which of these modules a fresh process has after this code."""
    done = python(f"import sys\n{code}\nprint([name for name in {heavy!r} if name in sys.modules])")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_list_of_methods_imports_no_method() -> None:
    heavy = ("torch", "sktime", "sklearn", "scipy", "pandas", "numpy", "kinview.methods.scarf")
    assert loaded("import kinview.cli; assert kinview.cli.main(['list', 'methods']) == 0", heavy) == "[]"


def test_a_first_step_compiles_nothing() -> None:
    lines = (
        "from kinview import TS2Vec, Trainer",
        f"assert not [name for name in {COMPILER + BESIDE!r} if name in sys.modules]",
        "import numpy as np",
        "X = np.sin(np.arange(480.0)).reshape(8, 2, 30)",
        "X[0, 0, 3] = np.nan",
        "TS2Vec(repr_dim=8, hidden_dim=4, depth=1, trainer=Trainer(max_steps=1)).fit(X)",
    )
    assert loaded("\n".join(lines), COMPILER + BESIDE) == "[]"
