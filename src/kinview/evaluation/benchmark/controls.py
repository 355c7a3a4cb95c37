"""The controls that a benchmark adds to its methods: what a learned representation has to beat."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kinview.data.modality import SERIES, TABLE
from kinview.files import canonical_json

__all__ = ["DEFAULT", "Control", "check_controls", "controls_for", "network_config", "network_key"]


@dataclasses.dataclass(frozen=True)
class Control:
    """A method that others are compared with.

    Parameters
    ----------
    method : spec
        A part of the registry ``methods``.
    probe : spec, optional
        The one probe that it is asked with; every method with every probe is then compared with the pair. Without it
        the control is asked with each probe of the benchmark, and compared under the same probe.
    """

    method: Any
    probe: Any | None = None


DEFAULT: dict[str, tuple[Control, ...]] = {
    SERIES: (
        Control("raw"),
        Control("random_init"),
        Control("summary"),
        Control({"minirocket": {"fill": "linear"}}, "ridge"),
    ),
    TABLE: (Control("raw", "xgboost"), Control("pca")),
}
"""The controls of each modality that ``controls: default`` stands for.

``random_init`` is there once for each untrained network that the methods of the benchmark have.
"""

_KEYS = ("name", "method", "probe")
_TRAINING = frozenset({"trainer", "random_state"})


def check_controls(given: Any) -> Any:
    """``"default"``, ``"none"`` or a tuple of entries, once they have the right form.

    An entry is the spec of a method, or ``{method: ..., probe: ...}``, either with a ``name``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if given in ("default", "none"):
        return given
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise ValueError(f"controls must be default, none, or a list of methods; got {given!r}")
    if list(given) in (["default"], ["none"]):
        return given[0]
    for entry in given:
        if isinstance(entry, Mapping) and "method" in entry and set(entry) - set(_KEYS):
            raise ValueError(
                f"a control is a method, or {{method: ..., probe: ...}}; got the keys {', '.join(map(str, entry))}"
            )
    return tuple(given)


def controls_for(given: Any, modality: str, registered: Mapping[str, Collection[str]]) -> tuple[Control, ...]:
    """The controls on data of a modality.

    Parameters
    ----------
    given : "default", "none" or sequence
        As :func:`check_controls` returns it.
    modality : str
        ``"time_series"`` or ``"tabular"``.
    registered : mapping of str to collection of str
        Names of the ``methods`` and ``probes`` that there are.

    Raises
    ------
    ValueError
        If a default control is not installed here: none is left out in silence.

    Examples
    --------
    >>> controls_for(["raw", {"method": "raw", "probe": "xgboost"}], "tabular", {})
    (Control(method='raw', probe=None), Control(method='raw', probe='xgboost'))
    """
    if given == "none":
        return ()
    if given != "default":
        return tuple(
            Control(entry["method"], entry.get("probe"))
            if isinstance(entry, Mapping) and "method" in entry
            else Control(entry)
            for entry in given
        )
    absent = [
        f"the {kind[:-1]} {name}"
        for control in DEFAULT[modality]
        for kind, spec in (("methods", control.method), ("probes", control.probe))
        if spec is not None and (name := spec if isinstance(spec, str) else next(iter(spec))) not in registered[kind]
    ]
    if absent:
        raise ValueError(
            f"controls: default needs {', '.join(absent)}, which this installation does not have; name the controls "
            "that you want (controls: [raw, random_init]), or none"
        )
    return DEFAULT[modality]


def network_config(config: Any) -> Any:
    """Config of a method without what bears on its training alone: methods with equal ones start from one network.

    Parameters
    ----------
    config : str or mapping
        Config of a method, short or complete. Which parameters are of the training alone its class declares
        (``training_only``); of a method that is not installed it is ``trainer`` and ``random_state``.

    Examples
    --------
    >>> network_config({"scarf": {"corruption_rate": 0.3, "hidden_dim": 64, "trainer": {"max_steps": 9}}})
    {'scarf': {'hidden_dim': 64}}
    >>> network_config({"scarf": {"corruption_rate": 0.3}}), network_config("raw")
    ('scarf', 'raw')
    """
    from kinview.methods import methods

    if isinstance(config, str):
        return config
    ((name, parameters),) = config.items()
    targets = methods[name].targets if name in methods else ()
    leave = _TRAINING.union(*(getattr(target, "training_only", ()) for target in targets))
    kept = {key: value for key, value in (parameters or {}).items() if key not in leave}
    return {name: kept} if kept else name


def network_key(config: Any) -> str:
    """What tells the untrained network of a method, as JSON text: methods with equal ones start from one network.

    Parameters
    ----------
    config : str or mapping
        Complete config of a method. The name is no part of it where the class declares that it embeds by its encoder
        and by nothing besides (``embeds_by_encoder``).

    Examples
    --------
    >>> simclr, vicreg = ({name: {"encoder": "resnet1d", "pooling": "mean"}} for name in ("simclr", "vicreg"))
    >>> network_key(simclr) == network_key(vicreg), network_key({"ts2vec": {"repr_dim": 64}})
    (True, '["ts2vec",{"repr_dim":64}]')
    """
    from kinview.methods import methods

    kept = network_config(config)
    name, parameters = (kept, {}) if isinstance(kept, str) else next(iter(kept.items()))
    by_encoder = name in methods and getattr(methods[name].target, "embeds_by_encoder", False)
    return canonical_json(["" if by_encoder and parameters.get("encoder") is not None else name, parameters])
