"""Parameters that a method declares to be of its training alone: without training they change no embedding."""

import dataclasses
import itertools
import warnings

import numpy as np
import pytest

from kinview.complete_configs import complete_config
from kinview.evaluation.benchmark.controls import network_key
from kinview.methods import methods

GAPS = {"observation_dropout": {"p": 0.4}}
OTHERS = {
    "ts2vec": {"dropout": [0.5], "gaps": [GAPS], "mask": ["all_true"], "temporal_unit": [1]},
    "tstcc": {
        "dropout": [0.5], "prediction_steps": [2], "context_dim": [32], "context_depth": [2], "context_heads": [2],
        "temperature": [0.5], "temporal_weight": [0.5], "contextual_weight": [0.3], "weak_augmentation": ["jitter"],
        "strong_augmentation": ["jitter"], "gaps": [GAPS],
    },
    "tfc": {
        "consistency": ["paper", "official"], "contrastive_weight": [0.5], "temperature": [0.5], "margin": [0.5],
        "time_augmentation": ["jitter"], "frequency_augmentation": ["jitter"], "gaps": [GAPS],
    },
    "subtab": {
        "noise": ["gaussian_noise"], "temperature": [0.5], "reconstruction_weight": [0.0],
        "contrastive_weight": [0.5], "distance_weight": [0.0],
    },
    "vime": {"corruption_rate": [0.5], "mask_weight": [0.0], "reconstruction_weight": [0.0]},
    "saint": {
        "attention_dropout": [0.5], "feed_forward_dropout": [0.5], "corruption_rate": [0.5], "mixup": [0.5],
        "hidden_dim": [16], "projection_dim": [16], "temperature": [0.5], "contrastive_weight": [0.0],
        "category_weight": [0.0], "number_weight": [0.0],
    },
    "scarf": {"corruption_rate": [0.3], "projector_depth": [1], "temperature": [0.5]},
}  # fmt: skip
OTHERS["exp_clr"] = {"temperature": [0.5], "delta": [1.0], "squared": [False], "gaps": [GAPS]}
OTHERS["mixing_up"] = {
    "alpha": [1.0], "shared_coefficient": [False], "hidden_dim": [16], "projection_dim": [16], "temperature": [0.9],
    "gaps": [GAPS],
}  # fmt: skip
DECODERS = {"counted": ["all", "changed"], "decoder_hidden_dim": [16], "decoder_depth": [1, 3]}
OF_STEPS = {"decoded_from": ["representation", "steps"], "corruption": [None, "jitter", "cutout"]}
OTHERS |= {
    "reconstruction": {**DECODERS, **OF_STEPS},
    "tabular_reconstruction": {**DECODERS, "corruption": ["swap_noise"]},
}
OTHERS["transtab"] = {
    "n_partitions": [2], "overlap": [0.0], "shuffle": [True], "dropout": [0.5],
    "projection_dim": [16], "temperature": [1.0],
}  # fmt: skip
OF_TEACHERS = {
    "temperature": [0.5], "contrastive_weight": [0.0], "reconstruction_weight": [0.0], "momentum": [0.9],
    "decoder_hidden_dim": [16],
}  # fmt: skip
OTHERS |= {
    "tacl": {**OF_TEACHERS, "mask": ["continuous_mask"]},
    "tabular_tacl": {**OF_TEACHERS, "mask": [{"cell_dropout": {"p": 0.5}}]},
}
RECONSTRUCTIONS = ("autoencoder", "denoising_autoencoder", "masked_reconstruction")
OTHERS["ts2vec_minirocket"] = OTHERS["ts2vec"]
PAIRS = {
    "projector": [{"hidden_dim": 16, "depth": 3}], "predictor": [{"hidden_dim": 16}], "momentum": [0.9],
    "queue": [0, 64], "loss": ["info_nce", {"nnclr": {}}], "stop_gradient": [True], "symmetric": [False, True],
    "hidden_dim": [16], "projection_dim": [16], "temperature": [0.9], "gaps": [GAPS], "reduction": ["sum", "mean"],
    "memory_bank": [0.3], "queue_start": [0.5], "freeze_loss": [0.5],
    "weight_noise": [0.1], "adversary": [{"adversarial": {"epsilon": 0.1}}], "adversary_weight": [0.5],
    "ungrouped": ["refuse", "own"],
}  # fmt: skip
TARGETS = ("momentum", "memory_bank", "weight_noise")  # of which one at a time gives the targets
LEARNED = [
    (name, modality)
    for name in methods
    for modality in ("time_series", "tabular")
    if (part := methods[name].for_modality(modality)).target.trains is True
    and not part.target.control
    and part.modality == modality
]


def data(modality):
    random = np.random.default_rng(0)
    X = random.normal(size=(8, 2, 32) if modality == "time_series" else (8, 6))
    X[random.random(X.shape) < 0.1] = np.nan
    return X


@pytest.mark.slow
@pytest.mark.parametrize(("name", "modality"), LEARNED)
def test_they_leave_the_untrained_network_as_it_is(name, modality):
    def embedded(**parameters):
        estimator = methods.build({name: parameters} if parameters else name, for_modality=modality)
        estimator.set_params(random_state=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return np.asarray(estimator.initialise(data(modality)).transform(data(modality)))

    usual = embedded()
    target = methods[name].for_modality(modality).target
    if name in RECONSTRUCTIONS:
        name_of_others = "reconstruction" if modality == "time_series" else "tabular_reconstruction"
    else:
        name_of_others = name
    others = OTHERS.get(
        name_of_others, {"augmentation": ["jitter" if modality == "time_series" else "swap_noise"], **PAIRS}
    )
    for parameter in target.training_only & {field.name for field in dataclasses.fields(target)}:
        changed = 0
        for value in others[parameter]:
            needed: dict[str, object] = {"loss": "info_nce"} if parameter == "queue" else {}
            if parameter == "loss" and name == "moco":  # has a queue, which not every loss takes
                needed = {"queue": 0}
            needed |= {other: None for other in TARGETS if other != parameter and parameter in (*TARGETS, "queue")}
            if parameter == "memory_bank":  # it holds the negatives too
                needed["queue"] = 0
                if name == "ncl":  # whose loss seeks neighbours by groups, which it does not hold
                    needed["loss"] = "info_nce"
            if name == "swav" and parameter in (
                *TARGETS,
                "predictor",
                "stop_gradient",
            ):  # its loss makes its own targets
                needed["loss"] = "info_nce"
            if parameter == "queue_start":
                needed |= {"queue": 64, "loss": "info_nce", "memory_bank": None}
            if parameter == "freeze_loss":
                needed |= {"loss": "clip", "queue": 0, "memory_bank": None}
            if name == "swav" and parameter != "freeze_loss" and (parameter == "loss" or "loss" in needed):
                needed["freeze_loss"] = 0.0  # the other loss learns nothing that could be frozen
            if {"queue": None, **needed, parameter: value}["queue"] == 0:
                needed["queue_start"] = 0.0
            fields = {field.name for field in dataclasses.fields(target)}
            needed = {other: neutral for other, neutral in needed.items() if other in fields}
            np.testing.assert_array_equal(embedded(**{parameter: value, **needed}), usual, err_msg=parameter)
            changed += 1
        assert changed


def test_what_makes_the_network_is_not_declared():
    for name, parameter, value in (("scarf", "hidden_dim", 16), ("ts2vec", "repr_dim", 16)):
        modality = methods[name].modality
        shapes = {
            methods.build({name: given}).initialise(data(modality)).transform(data(modality)).shape
            for given in ({}, {parameter: value})
        }
        assert len(shapes) == 2 and parameter not in methods[name].target.training_only


@pytest.mark.parametrize("modality", ["time_series", "tabular"])
def test_methods_that_embed_by_their_encoder_have_one_untrained_network(modality):
    """Whose control is one ``random_init``: of equal keys the untrained embeddings are equal, and of no others."""
    encoders = ["dilated_conv", {"dilated_conv": {"repr_dim": 12, "hidden_dim": 8, "depth": 2}}]
    if modality == "tabular":
        tokens = {"ft_transformer": {"repr_dim": 8, "depth": 1, "heads": 2}}
        encoders = [{"mlp": {"hidden_dim": 8, "depth": 2}}, tokens]
    declared = [
        name for name, of in LEARNED if of == modality and methods[name].for_modality(of).target.embeds_by_encoder
    ]
    assert len(declared) > 20 and {"ts2vec", "tstcc", "scarf", "subtab", "saint"}.isdisjoint(declared)
    found = {}
    for name, encoder in itertools.product(declared, encoders):
        if name == "tabular_tacl" and encoder is not encoders[1]:
            continue  # takes encoders with a token for each column
        spec = {name: {"encoder": encoder} | ({"pooling": "mean"} if modality == "time_series" else {})}
        estimator = methods.build(spec, for_modality=modality).set_params(random_state=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            embedded = np.asarray(estimator.initialise(data(modality)).transform(data(modality)))
        key = network_key(complete_config(methods, spec, for_modality=modality))
        np.testing.assert_array_equal(found.setdefault(key, embedded), embedded, err_msg=name)
    assert len(found) == 2 and len({embedded.tobytes() for embedded in found.values()}) == 2
