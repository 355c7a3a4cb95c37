"""Recipes of methods as classes: a paper that only chooses parts is a YAML file in ``configs/method``.

A recipe says its ``class``, ``summary``, ``reference`` and ``description``, and under ``modality`` the spec of the
method that it is, for each modality that it serves. Its class is that of the method with other defaults.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kinview.parameters import parameterised
from kinview.registry import Entry

if TYPE_CHECKING:  # classes that are made when they are asked for, as a type checker sees them
    from kinview.methods.joint_embedding.estimators import JointEmbedding, TabularJointEmbedding
    from kinview.methods.paired_embedding import PairedEmbedding
    from kinview.methods.reconstruction.estimators import Reconstruction, TabularReconstruction

    class CLAP(PairedEmbedding): ...

    class CLIP(PairedEmbedding): ...

    class ConVIRT(PairedEmbedding): ...

    class MMCL(PairedEmbedding): ...

    class SigLIP(PairedEmbedding): ...

    class Autoencoder(Reconstruction): ...

    class TabularAutoencoder(TabularReconstruction): ...

    class DenoisingAutoencoder(Reconstruction): ...

    class TabularDenoisingAutoencoder(TabularReconstruction): ...

    class MaskedReconstruction(Reconstruction): ...

    class TabularMaskedReconstruction(TabularReconstruction): ...

    class AdversarialViews(JointEmbedding): ...

    class TabularAdversarialViews(TabularJointEmbedding): ...

    class BarlowTwins(JointEmbedding): ...

    class TabularBarlowTwins(TabularJointEmbedding): ...

    class BYOL(JointEmbedding): ...

    class TabularBYOL(TabularJointEmbedding): ...

    class CurriculumContrastive(JointEmbedding): ...

    class TabularCurriculumContrastive(TabularJointEmbedding): ...

    class DebiasedContrastive(JointEmbedding): ...

    class TabularDebiasedContrastive(TabularJointEmbedding): ...

    class DecoupledContrastive(JointEmbedding): ...

    class TabularDecoupledContrastive(TabularJointEmbedding): ...

    class FindingOrderInChaos(JointEmbedding): ...

    class FlatNCE(JointEmbedding): ...

    class TabularFlatNCE(TabularJointEmbedding): ...

    class FLO(JointEmbedding): ...

    class TabularFLO(TabularJointEmbedding): ...

    class HardNegativeContrastive(JointEmbedding): ...

    class TabularHardNegativeContrastive(TabularJointEmbedding): ...

    class InstanceDiscrimination(JointEmbedding): ...

    class TabularInstanceDiscrimination(TabularJointEmbedding): ...

    class LeJEPA(JointEmbedding): ...

    class TabularLeJEPA(TabularJointEmbedding): ...

    class MoCo(JointEmbedding): ...

    class TabularMoCo(TabularJointEmbedding): ...

    class MoCoV3(JointEmbedding): ...

    class TabularMoCoV3(TabularJointEmbedding): ...

    class NNCLR(JointEmbedding): ...

    class TabularNNCLR(TabularJointEmbedding): ...

    class SimGRACE(JointEmbedding): ...

    class TabularSimGRACE(TabularJointEmbedding): ...

    class SimSiam(JointEmbedding): ...

    class TabularSimSiam(TabularJointEmbedding): ...

    class SupCon(JointEmbedding): ...

    class TabularSupCon(TabularJointEmbedding): ...

    class SwAV(JointEmbedding): ...

    class TabularSwAV(TabularJointEmbedding): ...

    class VICReg(JointEmbedding): ...

    class CMSC(JointEmbedding): ...

    class CMLC(JointEmbedding): ...

    class CMSMLC(JointEmbedding): ...

    class NCL(JointEmbedding): ...

    class TabularVICReg(TabularJointEmbedding): ...

    class Viewmaker(JointEmbedding): ...

    class TabularViewmaker(TabularJointEmbedding): ...

    class VISReg(JointEmbedding): ...

    class TabularVISReg(TabularJointEmbedding): ...


__all__ = ["classes_of"]

_KEYS = {"class", "summary", "reference", "description", "modality", "common"}
_WIDTH = 116  # of a line of documentation
_PREFIX = {"time_series": "", "tabular": "Tabular"}


class _Defaults(dict[str, Any]):
    """A mapping as the default of a field, which has to be hashable; nobody changes it."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(sorted(self.items(), key=repr)))


def classes_of(
    name: str, content: Mapping[str, Any], entries: Mapping[str, Entry]
) -> dict[str, tuple[type, dict[str, Any]]]:
    """Make a class of a recipe for each of its modalities, with what is declared about it.

    Parameters
    ----------
    name : str
        Under which the recipe is registered.
    content : mapping
        What its file says.
    entries : mapping
        Registered methods by name.

    Raises
    ------
    ValueError
        If the recipe has an unknown key, lacks one, or names a method or a parameter that does not exist.
    """
    unknown, absent = set(content) - _KEYS, {"class", "summary", "modality"} - set(content)
    if unknown or absent:
        raise ValueError(
            f"the recipe {name!r} has the unknown keys {sorted(unknown) or 'none'} and lacks "
            f"{sorted(absent) or 'none'}; it takes {', '.join(sorted(_KEYS))}"
        )
    return {
        modality: _class_of(name, content, modality, spec, entries) for modality, spec in content["modality"].items()
    }


def _class_of(
    name: str, content: Mapping[str, Any], modality: str, spec: Any, entries: Mapping[str, Entry]
) -> tuple[type, dict[str, Any]]:
    base_name = spec if isinstance(spec, str) else next(iter(spec))
    chosen = {} if isinstance(spec, str) else dict(spec[base_name] or {})
    if base_name not in entries:
        raise ValueError(
            f"the recipe {name!r} is made of {base_name!r}, which is not a method; known: {', '.join(entries)}"
        )
    base: Any = entries[base_name].target
    trainer = chosen.pop("trainer", {})
    fields = {field.name: field for field in dataclasses.fields(base)}
    wrong = [key for key in chosen if key not in fields]
    if wrong:
        raise ValueError(f"the recipe {name!r} sets {wrong[0]!r}; {base_name} has {', '.join(fields)}")
    members: dict[str, Any] = {"__annotations__": dict.fromkeys(chosen, Any)}
    for key, value in chosen.items():
        default = _Defaults(value) if isinstance(value, Mapping) else tuple(value) if isinstance(value, list) else value
        members[key] = dataclasses.field(default=default, metadata=fields[key].metadata)
    members |= {
        "__module__": __name__,
        "__doc__": _document(content, base_name, f"{_PREFIX.get(modality, '')}{content['class']}", trainer),
        "published_training": trainer,
    }
    made: type = type(base)(f"{_PREFIX.get(modality, '')}{content['class']}", (base,), members)
    metadata = {"parts": entries[base_name].metadata.get("parts", {}), "recipe": chosen}
    return parameterised(made), metadata


def _document(content: Mapping[str, Any], base_name: str, class_name: str, trainer: Mapping[str, Any]) -> str:
    """Docstring of a recipe: its description, what it is made of in the Notes, its reference, an example."""
    notes = [f"A recipe over ``{base_name}``, whose parameters it has, with the defaults that are listed here."]
    if trainer:
        notes.append(f"Training values of its own: {', '.join(f'{key} {value}' for key, value in trainer.items())}.")
    described, *sections = re.split(r"^(?=[A-Z][\w ]*\n-{3,}$)", content.get("description", ""), flags=re.MULTILINE)
    with_notes = [text for text in sections if text.startswith("Notes\n")] or ["Notes\n-----\n"]
    said = with_notes[0].partition("\n")[2].partition("\n")[2]
    parts = [content["summary"], _filled(described), "Notes\n-----\n" + _filled("\n\n".join([*notes, said]))]
    parts += [text.strip() for text in sections if text not in with_notes]
    if "reference" in content:
        cited = content["reference"].rstrip(".")
        reference = textwrap.fill(f".. [1] {cited}.", _WIDTH, subsequent_indent="   ")
        parts.append(f"References\n----------\n{reference}")
    if ">>>" not in content.get("description", ""):
        made = f"{class_name}(random_state=0)"
        parts.append(f"Examples\n--------\n>>> from kinview.methods import {class_name}\n>>> {made}\n{made}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _filled(text: str) -> str:
    """Paragraphs filled to the width of a docstring; tables, lists, formulas and what is indented stay as they are."""
    blocks = re.split(r"\n\s*\n", text.strip("\n"))
    kept = re.compile(r"\s|[-*+] |\d+\. |\.\. |>>>|=+(?: +=+)+\s*$", flags=re.MULTILINE)
    return "\n\n".join(block if kept.match(block) else textwrap.fill(block, _WIDTH) for block in blocks).strip("\n")


def __getattr__(name: str) -> Any:
    """Class of a recipe, by its name: so pickles find it."""
    from kinview.methods import methods

    if not name.startswith("_"):
        for entry in (methods[known] for known in methods):
            for target in entry.targets:
                if getattr(target, "__name__", "") == name and target.__module__ == __name__:
                    return target
    raise AttributeError(f"there is no recipe with the class {name!r}; `kinview list methods` shows those there are")
