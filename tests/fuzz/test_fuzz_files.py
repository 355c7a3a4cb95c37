"""YAML, benchmarks, the command line, model files and stores: nothing hangs, and nothing ends in a traceback."""

from __future__ import annotations

import contextlib
import functools
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzzing import Case, Outcome, fuzz, mutated, refusal
from kinview import SCARF, TS2Vec, load_model
from kinview.cli import main
from kinview.evaluation import Benchmark, Store
from kinview.files import dump_tensors, parse_tensors, read_yaml, write_yaml

pytestmark = pytest.mark.fuzz

LEAVES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**70,
    1e-3,
    1.5,
    float("inf"),
    "",
    "no",
    "1e-3",
    "a: b",
    "\x85",
    "ü",
    " x ",
]


def plain_data(random: np.random.Generator, depth: int = 0) -> Any:
    kind = random.integers(6 if depth < 4 else 4)
    if kind == 4:
        return [plain_data(random, depth + 1) for _ in range(random.integers(4))]
    if kind == 5:
        keys = random.choice(["a", "b", "1", "no", "x y", "é"], int(random.integers(4)), replace=False).tolist()
        return {key: plain_data(random, depth + 1) for key in keys}
    return LEAVES[random.integers(len(LEAVES))]


def yaml_text(random: np.random.Generator, folder: Path) -> Outcome:
    value = plain_data(random)
    text = write_yaml(value, in_one_line=bool(random.random() < 0.5))
    read = read_yaml(text)
    assert read == value and repr(read) == repr(value), (text, read)
    damaged = mutated(text.encode(), random).decode("utf-8", "replace")
    with refusal():
        read_yaml(damaged)
    bomb = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9 if i else ['x'] * 9)}]\n" for i in range(12))
    deep = "[" * int(random.integers(1, 3000))
    for hostile in (bomb, deep, "&a [*a]", "{a: 1, a: 2}") if random.random() < 0.1 else ():
        with refusal() as refused:
            read_yaml(hostile)
        assert refused, hostile[:50]
    return "value"


def benchmark(random: np.random.Generator, folder: Path) -> Outcome:
    config: dict[str, Any] = {"name": "b", "datasets": ["iris"], "methods": ["raw"], "seeds": [0]}
    odd: dict[str, list[Any]] = {
        "datasets": ["iris", ["wine", "wine"], {"iris": {}}, [{"iris": {"drop": ["x"]}}], [None], [3]],
        "methods": [
            ["raw", {"scarf": {"depth": 2}}],
            "raw",
            [{"scarf": {"dept": 2}}],
            [{"raw": 3}],
            [["raw"]],
            [1.5],
            [],
        ],
        "corruptions": [["mcar"], "mcar", [{"mcar": {"rate": 0.1}}], ["mar"], [None]],
        "severities": [[0.2], [2.0], ["0.1"], 0.3, [float("nan")]],
        "probes": [["knn"], ["svm", "knn"], [{"knn": {"k": 0}}], [{"knn": {"k": 3}}], ["nope"]],
        "seeds": [[0, 1], ["0"], [-1], [2**70], 3],
        "crossed": [True, "yes", 1],
        "threads": [1, 0, "2", 1.0],
        "label_fractions": [[0.5], [0.0], [1.0, 0.1], "1"],
        "oops": [1],
    }
    for key in random.choice(list(odd), int(random.integers(0, 4)), replace=False).tolist():
        config[key] = odd[key][random.integers(len(odd[key]))]
    with refusal() as refused:
        cells = Benchmark.from_config(config).cells()
    if refused:
        return "refused"
    assert cells and len({cell.key for cell in cells}) == len(cells)
    return "value"


def command(random: np.random.Generator, folder: Path) -> Outcome:
    table = folder / "t.csv"
    table.write_text("age,sex,out\n" + "".join(f"{i},{'mf'[i % 2]},{i % 2}\n" for i in range(12)))
    known = {
        "list": ["methods", "probes", "svm", "--help", "losses", "moco", "nothing"],
        "info": ["--help", "x"],
        "inspect": [str(table), str(folder / "none"), "--help"],
        "report": ["--store", f"sqlite:///{folder}/none.db", "sqlite:///x", "--help", "nothing"],
        "probe": ["--data", str(table), "--label", "out", "sex", "-1", "9", "--probe", "knn", "nope", "--seed", "x"],
        "pretrain": [
            "--data",
            str(table),
            "--method",
            "nope",
            "scarf",
            "--trainer.max_steps",
            "x",
            "--label",
            "--help",
        ],
        "views": ["jitter", "--help", "--data", str(table), "nope"],
        "bench": ["nope", "--help", "--seeds", "[0", "--methods", "{raw", "quickstart", "--workers", "x"],
        "": ["--version", "--help", "help", "nothing", "-x"],
    }
    name = str(random.choice(list(known)))
    words = random.choice(known[name], int(random.integers(0, 5))).tolist()
    if name == "bench" and not {"nope", "--help", "x", "[0", "{raw"} & set(words):
        words.append("--help")
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([name, *words] if name else words)
    assert "Traceback" not in err.getvalue() + out.getvalue(), (name, words, err.getvalue())
    assert code in (0, 1, 2), (name, words, code)
    assert code == 0 or err.getvalue().strip(), (name, words, "an error without a word")
    return "value" if code == 0 else "refused"


@functools.cache
def models() -> list[bytes]:
    from kinview.methods.estimators.model_file import dump_model

    trainer = {"max_steps": 1}
    X = np.random.default_rng(0).normal(size=(8, 3))
    series = np.random.default_rng(0).normal(size=(4, 1, 12))
    return [
        dump_model(SCARF(hidden_dim=4, depth=1, trainer=trainer, random_state=0).fit(X)),
        dump_model(TS2Vec(repr_dim=4, hidden_dim=4, depth=1, trainer=trainer, random_state=0).fit(series)),
    ]


def model_file(random: np.random.Generator, folder: Path) -> Outcome:
    """Damaged bytes, and headers that claim other things under a right checksum."""
    data = models()[random.integers(len(models()))]
    path = folder / "model.safetensors"
    if random.random() < 0.3:
        data = mutated(data, random)
    elif random.random() < 0.6:
        tensors, metadata = parse_tensors(data, "model")
        parameters = json.loads(metadata["parameters"])
        name = str(random.choice([key for key in parameters if key != "trainer"]))
        odd: list[Any] = [2**63, 2**31, -1, 0, 1, 1e300, "x", None, [], {"a": {}}, True, 50_000]
        parameters[name] = odd[random.integers(len(odd))]
        metadata = {key: value for key, value in metadata.items() if key != "sha256"}
        metadata["parameters"] = json.dumps(parameters)
        if random.random() < 0.2:
            tensors.pop(sorted(tensors)[random.integers(len(tensors))])
        data = dump_tensors(tensors, metadata)
    path.write_bytes(data)
    with refusal() as refused:
        load_model(path)
    return "refused" if refused else "value"


def store(random: np.random.Generator, folder: Path) -> Outcome:
    path = folder / "results.db"
    for file in folder.glob("results.db*"):
        file.unlink()
    kept = Store(str(path))
    cell = {"dataset": "wine", "method": "raw", "probe": "linear", "seed": 0, "status": "ok"}
    wanted = {}
    for i in range(int(random.integers(1, 5))):
        accuracy = float(random.random())
        kept.add(f"k{i}", {**cell, "seed": i, "accuracy": accuracy}, benchmark="b")
        wanted[i] = accuracy
    kept._engine.dispose()
    whole = bool(random.random() < 0.5)
    if not whole:
        path.write_bytes(mutated(path.read_bytes(), random))
    with refusal() as refused:
        frame = Store(str(path), create=False).frame()
    if refused:
        assert not whole, refused
        return "refused"
    if whole:
        assert dict(zip(frame["seed"], frame["accuracy"])) == wanted
    return "value"


@pytest.mark.parametrize(
    ("case", "fewest_values"),
    [
        (yaml_text, 0.99),
        (benchmark, 0.2),
        (command, 0.2),
        (model_file, 0.2),
        (store, 0.4),
    ],
)
def test_what_is_drawn_is_read_or_refused(case: Case, fewest_values: float, tmp_path: Path) -> None:
    found = fuzz(case, tmp_path)
    assert not found.faults, "\n\n".join(found.faults)
    assert found.fraction("value") >= fewest_values, found.counts
