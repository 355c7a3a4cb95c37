"""Contrastive objectives: plain functions and thin modules with the formula in the docstring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.losses.alignment_uniformity import (
        AlignmentUniformity as AlignmentUniformity,
        alignment as alignment,
        alignment_uniformity as alignment_uniformity,
        uniformity as uniformity,
    )
    from kinview.losses.barlow_twins import BarlowTwins as BarlowTwins, barlow_twins as barlow_twins
    from kinview.losses.base import (
        Loss as Loss,
        check_views as check_views,
        full_precision as full_precision,
        widen as widen,
    )
    from kinview.losses.binary_logistic import (
        BinaryLogistic as BinaryLogistic,
        binary_logistic as binary_logistic,
        binary_logistic_scores as binary_logistic_scores,
    )
    from kinview.losses.cell_error import cell_error as cell_error, cell_outputs as cell_outputs
    from kinview.losses.clip import CLIP as CLIP, clip as clip
    from kinview.losses.cmcr import CMCR as CMCR, cmcr as cmcr
    from kinview.losses.consistency import Consistency as Consistency, consistency as consistency
    from kinview.losses.contrastive import Contrastive as Contrastive, contrastive as contrastive
    from kinview.losses.convirt import ConVIRT as ConVIRT, convirt as convirt
    from kinview.losses.debiased import (
        Debiased as Debiased,
        HardNegative as HardNegative,
        debiased as debiased,
        hard_negative as hard_negative,
    )
    from kinview.losses.decoupled import Decoupled as Decoupled, decoupled as decoupled
    from kinview.losses.er_bound import ERBound as ERBound, er_bound as er_bound
    from kinview.losses.exp_clr import ExpCLR as ExpCLR, exp_clr as exp_clr
    from kinview.losses.factor_cl import (
        FactorCL as FactorCL,
        PairCritic as PairCritic,
        club_bound as club_bound,
        nce_bound as nce_bound,
    )
    from kinview.losses.flat_nce import FlatNCE as FlatNCE, flat_nce as flat_nce
    from kinview.losses.flo import FLO as FLO, flo as flo
    from kinview.losses.group_nce import GroupNCE as GroupNCE, group_nce as group_nce
    from kinview.losses.hierarchical import (
        Hierarchical as Hierarchical,
        hierarchical as hierarchical,
        instance_contrastive as instance_contrastive,
        soft_assignments as soft_assignments,
        temporal_contrastive as temporal_contrastive,
    )
    from kinview.losses.info_nce import InfoNCE as InfoNCE, info_nce as info_nce
    from kinview.losses.lejepa import LeJEPA as LeJEPA, lejepa as lejepa, sigreg as sigreg
    from kinview.losses.lifted_structured import (
        LiftedStructured as LiftedStructured,
        lifted_structured as lifted_structured,
    )
    from kinview.losses.mixup_contrastive import (
        MixupContrastive as MixupContrastive,
        mixup_contrastive as mixup_contrastive,
    )
    from kinview.losses.n_pair import NPair as NPair, n_pair as n_pair
    from kinview.losses.nce import NCE as NCE, nce as nce, nce_pairs as nce_pairs
    from kinview.losses.negative_cosine import NegativeCosine as NegativeCosine, negative_cosine as negative_cosine
    from kinview.losses.neighbourhood import Neighbourhood as Neighbourhood, neighbourhood as neighbourhood
    from kinview.losses.nnclr import NNCLR as NNCLR, nnclr as nnclr
    from kinview.losses.nt_xent import NTXent as NTXent, nt_xent as nt_xent
    from kinview.losses.nt_xent_poly import NTXentPoly as NTXentPoly, nt_xent_poly as nt_xent_poly
    from kinview.losses.partition_contrast import partition_contrast as partition_contrast
    from kinview.losses.sigmoid import Sigmoid as Sigmoid, sigmoid as sigmoid
    from kinview.losses.sinkhorn import Sinkhorn as Sinkhorn, sinkhorn as sinkhorn
    from kinview.losses.soft_nearest_neighbour import (
        SoftNearestNeighbour as SoftNearestNeighbour,
        soft_nearest_neighbour as soft_nearest_neighbour,
    )
    from kinview.losses.sup_con import SupCon as SupCon, sup_con as sup_con
    from kinview.losses.swav import SwAV as SwAV, swav as swav
    from kinview.losses.temporal_cpc import TemporalCPC as TemporalCPC, temporal_cpc as temporal_cpc
    from kinview.losses.three_towers import ThreeTowers as ThreeTowers, three_towers as three_towers
    from kinview.losses.token_contrast import TokenContrast as TokenContrast, token_contrast as token_contrast
    from kinview.losses.triplet import Triplet as Triplet, triplet as triplet
    from kinview.losses.vicreg import VICReg as VICReg, vicreg as vicreg
    from kinview.losses.visreg import VISReg as VISReg, visreg as visreg

_package = lazy_exports(__name__)
losses = Registry("losses", members=_package.exported_modules)
