"""What a representation is worth: corruptions, label noise, probes, metrics, and the benchmark that runs them.

The registries of its parts are those of its subpackages: ``from kinview.evaluation.corruptions import corruptions``,
``from kinview.evaluation.label_noise.symmetric import label_noise``, ``from kinview.evaluation.probes import probes``;
the table of its metrics is ``kinview.evaluation.metrics.METRICS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Parent-relative on purpose: a checkout links this package at its top, where `import evaluation` would make a second
# registry. This import refuses that.
from ..exports import lazy_exports

if TYPE_CHECKING:
    from kinview.evaluation.benchmark.forecast import Forecast as Forecast, forecast as forecast
    from kinview.evaluation.benchmark.plan import Benchmark as Benchmark
    from kinview.evaluation.benchmark.runner import run as run
    from kinview.evaluation.comparison.effect_sizes import (
        cliffs_delta as cliffs_delta,
        win_matrix as win_matrix,
        win_tie_loss as win_tie_loss,
    )
    from kinview.evaluation.comparison.folds import (
        bayesian_correlated_t as bayesian_correlated_t,
        compare_folds as compare_folds,
        corrected_resampled_t_test as corrected_resampled_t_test,
    )
    from kinview.evaluation.comparison.methods import (
        MethodComparison as MethodComparison,
        compare_methods as compare_methods,
        compare_scores as compare_scores,
        dataset_scores as dataset_scores,
    )
    from kinview.evaluation.comparison.ranks import (
        FriedmanTest as FriedmanTest,
        average_ranks as average_ranks,
        cliques as cliques,
        friedman_test as friedman_test,
    )
    from kinview.evaluation.comparison.signed_rank import (
        bayesian_signed_rank as bayesian_signed_rank,
        sign_test as sign_test,
        signed_rank as signed_rank,
        wilcoxon_holm as wilcoxon_holm,
    )
    from kinview.evaluation.corruptions import (
        corrupt as corrupt,
        observed_mask as observed_mask,
        realised_rate as realised_rate,
    )
    from kinview.evaluation.corruptions.base import Corruption as Corruption
    from kinview.evaluation.corruptions.block import Block as Block
    from kinview.evaluation.corruptions.censoring import Censoring as Censoring
    from kinview.evaluation.corruptions.clipping import Clipping as Clipping
    from kinview.evaluation.corruptions.detection_limit import DetectionLimit as DetectionLimit
    from kinview.evaluation.corruptions.drift import SensorDrift as SensorDrift
    from kinview.evaluation.corruptions.informative import Informative as Informative
    from kinview.evaluation.corruptions.irregular import Irregular as Irregular
    from kinview.evaluation.corruptions.jittered_times import JitteredTimes as JitteredTimes
    from kinview.evaluation.corruptions.mar import MAR as MAR
    from kinview.evaluation.corruptions.mcar import MCAR as MCAR
    from kinview.evaluation.corruptions.mnar import (
        MNARExtreme as MNARExtreme,
        MNARHigh as MNARHigh,
        MNARLow as MNARLow,
    )
    from kinview.evaluation.corruptions.modality_missing import ModalityMissing as ModalityMissing
    from kinview.evaluation.corruptions.natural import Natural as Natural
    from kinview.evaluation.corruptions.noise import Noise as Noise
    from kinview.evaluation.corruptions.resolution import Resolution as Resolution
    from kinview.evaluation.corruptions.self_masking import SelfMasking as SelfMasking
    from kinview.evaluation.corruptions.sensor import Sensor as Sensor
    from kinview.evaluation.corruptions.sequence import MissingSequence as MissingSequence
    from kinview.evaluation.corruptions.shifts import Shift as Shift
    from kinview.evaluation.corruptions.static_columns import StaticColumns as StaticColumns
    from kinview.evaluation.corruptions.subgroup import Subgroup as Subgroup
    from kinview.evaluation.label_noise.annotator import AnnotatorNoise as AnnotatorNoise
    from kinview.evaluation.label_noise.asymmetric import AsymmetricNoise as AsymmetricNoise
    from kinview.evaluation.label_noise.base import LabelNoise as LabelNoise, NoisyLabels as NoisyLabels
    from kinview.evaluation.label_noise.class_conditional import ClassConditionalNoise as ClassConditionalNoise
    from kinview.evaluation.label_noise.features import FeatureNoise as FeatureNoise
    from kinview.evaluation.label_noise.instance_dependent import InstanceDependentNoise as InstanceDependentNoise
    from kinview.evaluation.label_noise.pair_flip import PairFlipNoise as PairFlipNoise
    from kinview.evaluation.label_noise.symmetric import SymmetricNoise as SymmetricNoise
    from kinview.evaluation.metrics.decision_curve import decision_curve as decision_curve
    from kinview.evaluation.metrics.delong import (
        DeLongTest as DeLongTest,
        delong as delong,
        delong_interval as delong_interval,
        delong_test as delong_test,
    )
    from kinview.evaluation.metrics.embeddings import (
        ClusteringAgreement as ClusteringAgreement,
        clustering_agreement as clustering_agreement,
        embedding_metrics as embedding_metrics,
        recall_at_k as recall_at_k,
    )
    from kinview.evaluation.metrics.intervals import (
        differences_with_intervals as differences_with_intervals,
        metrics_with_intervals as metrics_with_intervals,
    )
    from kinview.evaluation.metrics.outputs import Classification as Classification, Regression as Regression
    from kinview.evaluation.metrics.point_values import Metrics as Metrics, evaluate as evaluate
    from kinview.evaluation.metrics.subgroups import Subgroups as Subgroups, subgroup_metrics as subgroup_metrics
    from kinview.evaluation.metrics.table import Metric as Metric
    from kinview.evaluation.metrics.two_sides import SideMetrics as SideMetrics, side_metrics as side_metrics
    from kinview.evaluation.noise_estimate import (
        NoiseEstimate as NoiseEstimate,
        estimate_label_noise as estimate_label_noise,
    )
    from kinview.evaluation.over_datasets import (
        against_controls as against_controls,
        paired_difference_over_datasets as paired_difference_over_datasets,
    )
    from kinview.evaluation.predictions import Predictions as Predictions, read_predictions as read_predictions
    from kinview.evaluation.probes.base import Probe as Probe
    from kinview.evaluation.probes.centroid import Centroid as Centroid
    from kinview.evaluation.probes.confident import Confident as Confident
    from kinview.evaluation.probes.fine_tune import FineTune as FineTune
    from kinview.evaluation.probes.forward_corrected import ForwardCorrected as ForwardCorrected
    from kinview.evaluation.probes.gradient_boosting import XGBoost as XGBoost
    from kinview.evaluation.probes.lda import LDA as LDA
    from kinview.evaluation.probes.linear import Linear as Linear
    from kinview.evaluation.probes.logistic import Logistic as Logistic
    from kinview.evaluation.probes.nearest_neighbour import NearestNeighbour as NearestNeighbour
    from kinview.evaluation.probes.ridge import Ridge as Ridge
    from kinview.evaluation.probes.robust_ridge import RobustRidge as RobustRidge
    from kinview.evaluation.probes.selected import Selected as Selected
    from kinview.evaluation.probes.svm import SVM as SVM
    from kinview.evaluation.probes.tabicl import TabICL as TabICL
    from kinview.evaluation.probes.tabpfn import TabPFN as TabPFN
    from kinview.evaluation.protocols.base import Protocol as Protocol
    from kinview.evaluation.protocols.holdout import Holdout as Holdout
    from kinview.evaluation.protocols.leave_one_group_out import LeaveOneGroupOut as LeaveOneGroupOut
    from kinview.evaluation.protocols.official import Official as Official
    from kinview.evaluation.protocols.stratified_group_kfold import StratifiedGroupKFold as StratifiedGroupKFold
    from kinview.evaluation.protocols.stratified_kfold import StratifiedKFold as StratifiedKFold
    from kinview.evaluation.protocols.temporal import Temporal as Temporal
    from kinview.evaluation.report.content import Report as Report
    from kinview.evaluation.report.html import write_report as write_report
    from kinview.evaluation.report.table import format_table as format_table
    from kinview.evaluation.sharing import export_store as export_store
    from kinview.evaluation.statistics import (
        confidence_interval as confidence_interval,
        holm as holm,
        paired_differences as paired_differences,
        scoreboard as scoreboard,
        summarize as summarize,
    )
    from kinview.evaluation.store import Store as Store

lazy_exports(__name__)
