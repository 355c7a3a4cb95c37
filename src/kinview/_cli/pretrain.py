"""``kinview pretrain``: data in, a model file out."""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions, inputs
from kinview._cli.history import measured
from kinview._cli.models import check_output, check_reads, read_by, with_parameters
from kinview._cli.text import count, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace

    from kinview.datasets.samples import Samples

__all__ = ["parse", "pretrain", "run"]


def pretrain(
    source: DataOptions,
    *,
    method: dict[str, Any] | str,
    output: str,
    parameters: dict[str, Any] | None = None,
    trainer: dict[str, Any] | None = None,
    random_state: int = 0,
) -> None:
    """What to train.

    Parameters
    ----------
    source : DataOptions
        The data; their training part, or all of a file without a split.
    method : str or mapping
        Method by name (kinview list methods), or as {name: {parameter: value}}.
    output : str
        Where the model is saved, a .safetensors file. Beside it, as OUTPUT.seen, stand keyed hashes of the samples
        that it was trained on, by which probe tells whether it is tested on them. The model holds none: keep that
        file where the data are, it would tell who was among the patients.
    parameters : mapping, optional
        Parameters of the method: '{repr_dim: 64}', or one by one as --parameters.repr_dim 64.
    trainer : mapping, optional
        How to train, in place of the published values: '{max_steps: 100}', or --trainer.max_steps 100. With
        --trainer.checkpoint_dir FOLDER a run that was stopped continues when it is started again. Several processes,
        started by torchrun -m kinview pretrain ..., share the rows of each batch. With
        --trainer.callbacks '[probe, rank]' the last line says what they measured (kinview list callbacks); the probe
        sees the labels of the data, a method that uses none does not.
    random_state : int
        Seed; the same seed on the same machine gives the same model.
    """
    from kinview.datasets.seen import Seen
    from kinview.distributed import is_first
    from kinview.methods import methods

    file = check_output(output, (".safetensors",))
    given = dict(parameters or {})
    if trainer is not None:
        given["trainer"] = {**(given.get("trainer") or {}), **trainer}
    spec = with_parameters(methods, method, given, random_state=random_state)
    methods.build(spec)  # a wrong name is told before the data are read
    data = source.source()
    part, samples = next(iter(data.parts.items()))
    estimator = methods.build(spec, for_modality=samples.modality)
    check_reads(estimator, samples.modality, data.name)
    X = read_by(estimator, samples, source.pairs, data.name)
    start = time.perf_counter()
    try:
        estimator.fit(X, **_known(estimator, samples))
    except KeyboardInterrupt:
        folder = (given.get("trainer") or {}).get("checkpoint_dir")
        hint = f"the same command continues from {folder}" if folder else "nothing was saved"
        raise KeyboardInterrupt(hint) from None
    if not is_first():
        return
    estimator.save(file)
    Seen.of(samples).write(file)
    where = data.name if part == "all" else f"{data.name} ({part})"
    facts = [f"{methods.name_of(estimator)} fitted on {_fitted_on(estimator, X, samples)} of {where}"]
    state = getattr(estimator, "training_", None)
    if state is not None:
        facts += [count(state.step, "step"), f"last loss {state.history[-1]['loss']:.4g}", *measured(state.history)]
    say(f"saved {file}: {', '.join(facts)}, {time.perf_counter() - start:.1f} s; {inputs(samples)}")


def _fitted_on(estimator: Any, X: Any, samples: Samples) -> str:
    """How many samples it learned from; of pairs how many have both sides."""
    from kinview.data.modality import SAMPLE
    from kinview.data.paired import PairedData

    if not isinstance(X, PairedData):
        return count(len(samples), SAMPLE[samples.modality])
    lacking = [f"{int((~here).sum()):,} lack the {name}" for name, here in X.present.items() if not here.all()]
    pairs = getattr(estimator, "n_pairs_", int(X.complete.sum()))
    return count(pairs, "pair") + (f" (of {len(X):,} samples {' and '.join(lacking)})" if lacking else "")


def _known(estimator: Any, samples: Samples) -> dict[str, Any]:
    """What is known of the samples beside their values: groups, and labels where the method or a callback uses them."""
    from kinview.methods.estimators.base import as_trainer

    known = {} if samples.groups is None else {"groups": samples.groups}
    trainer = as_trainer(getattr(estimator, "trainer", None))  # what trains nothing has none
    asks = "y" in getattr(estimator, "uses", ()) or any(hook.needs_labels for hook in trainer.hooks())
    if samples.y is not None and asks:
        known["y"] = samples.y
    return known


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "pretrain", "--dataset NAME | --data FILE  --method NAME --output FILE [options]",
        "Pre-train a method, without labels, and save the model.",
    )  # fmt: skip
    parser.add_function_arguments(pretrain, as_positional=False, skip={"source"})
    parser.add_class_arguments(DataOptions)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command; of several processes that a launcher has started, the first one talks."""
    from kinview.distributed import is_first, process_group

    source = DataOptions.taken_from(options)
    with process_group(), contextlib.ExitStack() as silence:
        if not is_first():
            silence.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            silence.enter_context(contextlib.redirect_stdout(io.StringIO()))
        pretrain(source, **options.as_dict())
