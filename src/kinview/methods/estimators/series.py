"""Time-series estimators: sktime transformers from panels to one vector a series."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from sklearn.utils._metadata_requests import _MetadataRequester  # public only as a base of BaseEstimator
from sktime.transformations.base import BaseTransformer
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.completion import Completion
from kinview.data.gaps import with_something_observed
from kinview.data.modality import SERIES, check_modality, modality_of
from kinview.data.panel import ChannelMismatch, Panel, TimeUnit, read_panel, with_channels
from kinview.data.scaling import Scaler, fit_scaler
from kinview.data.sources.base import Source, is_source, refuse_source
from kinview.encoders.front_end import GapFrontEnd
from kinview.files import atomic_write
from kinview.methods.estimators.base import EstimatorCore, own_copy
from kinview.methods.estimators.gap_filling import check_time_unit, fillings, learn_fillings, reads_times
from kinview.methods.estimators.model_file import dump_model, load_model, parse_model, save_model
from kinview.methods.estimators.multi_table import MultiTableEstimator
from kinview.methods.estimators.outputs import is_path, write_frame
from kinview.methods.estimators.streaming import SeriesSurvey, block_panels, padded
from kinview.training.method import Sizes
from kinview.training.randomness import resolve_seed

__all__ = ["SeriesEstimator", "transferred"]


# by scikit-learn: what fit asks of metadata routing; by its meta-estimators, for the time of a call
_ATTACHED = ("_metadata_request", "_parent_callback_ctx", "_skl_callbacks")
_TAKE_ALONG = (
    "To take the model to series with other channels: model.adapt(X_train), or FineTunedClassifier(model, "
    "transfer=True) to train it on with labels; on the command line --adapt true"
)


class SeriesEstimator(EstimatorCore, BaseTransformer, _MetadataRequester):  # type: ignore[misc]
    """An sktime transformer around a method for time series.

    Accepts every panel container of :func:`kinview.data.read_panel`, with gaps, unequal lengths and time stamps. In
    scikit-learn's pipelines and searches ``set_fit_request(groups=True)`` asks for groups.

    Attributes
    ----------
    modality : str
        What it reads; its entry in the registry takes it from here.
    scaling : {"dataset", "robust", "quantile", "sample"}, None or mapping
        How values are scaled before anything sees them; "dataset" unless a field or the body of the class says another.
    channels_ : tuple of str
        Channel names at fit.
    scaler_ : Scaler
        Scaling learned on the training series.
    time_unit_ : {"seconds", "numbers", "periods"} or None
        What the time stamps were at fit.
    """

    _tags: ClassVar[dict[str, Any]] = {
        "authors": ["the kinview developers"],
        "maintainers": ["the kinview developers"],
        "python_dependencies": "torch",
        "scitype:transform-input": "Series",
        "scitype:transform-output": "Primitives",
        "scitype:instancewise": False,
        "X_inner_mtype": ["pd-multiindex", "numpy3D", "df-list", "pd_multiindex_hier"],  # the first keeps most
        "y_inner_mtype": "None",
        "fit_is_empty": False,
        "capability:multivariate": True,
        "capability:missing_values": True,
        "capability:missing_values:removes": True,
        "capability:unequal_length": True,
        "capability:unequal_length:removes": True,
        "capability:categorical_in_X": False,
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }

    modality: ClassVar[str] = SERIES
    rows_noun: ClassVar[str] = "series with an observation"

    scaling: Any = "dataset"
    channels_: tuple[str, ...]
    scaler_: Scaler
    time_unit_: TimeUnit | None

    def __post_init__(self) -> None:
        """After the constructor that the fields make: sktime's own, which calls this hook in its turn."""
        if not hasattr(self, "_converter_store_X"):
            super().__init__()

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> Self:
        """Pre-train on series.

        Parameters
        ----------
        X : panel or Source
            See :func:`kinview.data.read_panel`; a single sktime series counts as a panel of one. A
            :class:`~kinview.data.Source` is read block by block, and never in memory as a whole.
        y : array-like of shape (n,), optional
            Labels; only a method that uses labels (:attr:`uses`) gets them, others are not changed by them. With an
            index that names the series of X, as ``groups`` too, they may be in any order.
        groups : array-like, optional
            Group (patient) of each series, for held-out rows and for methods that use them. Default: the outermost
            level of a hierarchical index.
        extra : mapping of str to array-like (n, ...), optional
            Further features of each sample, for a method that uses them: ``{"features": expert_features}``.

        Raises
        ------
        ValueError
            For input that is not a panel of numbers, or labels or groups with an index of other series; the message
            says what to do.
        """
        return self._fit_or_initialise(X, y, groups, extra, train=True)

    def fit_transform(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> pd.DataFrame:
        """Representations of the series that it is fitted to; parameters as :meth:`fit`."""
        embedded: pd.DataFrame = self.fit(X, y, groups=groups, extra=extra).transform(X)
        return embedded

    def initialise(self, X: Any, *, groups: Any = None) -> Self:
        """Fit all but the weights: the network as it is before training (the control ``random_init``)."""
        return self._fit_or_initialise(X, None, groups, None, train=False)

    def transform(self, X: Any, y: Any = None, *, out: Any = None) -> Any:
        """Representations of series: a DataFrame ``(n, D)`` with the input's index, or the file that was written.

        A series without any observation gets the zero vector.

        Parameters
        ----------
        X : panel or Source
            Series with the channels of fit; see :func:`kinview.data.read_panel`. A :class:`~kinview.data.Source` is
            read and embedded block by block.
        y : None
            Not used.
        out : ndarray (n, D) or path, optional
            Where to write them, a ``numpy.memmap`` for example; the DataFrame shows it. By default a new array of
            float32. A Parquet file (``.parquet``) gets the names of the series as its first columns; of a source it is
            written block by block, and is there when it is whole.
        """
        self.check_is_fitted()
        if is_source(X):
            return self._transform_source(X, out)
        if is_path(out):
            return write_frame(self.transform(X), out)
        self.__panel = self._read(X, channels=self.channels_)
        self.__out = out
        try:
            return super().transform(self._for_sktime(X))
        finally:
            del self.__panel, self.__out

    def adapt(self, X: Any) -> Self:
        """A copy for series of another data set, with the same weights: channels and scaling are those of X.

        No weight is trained; a completion of gaps is learned from X, for as many steps as at fit. To train further with
        labels, give the estimator to :class:`~kinview.FineTunedClassifier` with ``transfer=True``. The length of the
        series may differ in any case.

        Parameters
        ----------
        X : panel
            Series of the other set (its training series: scaling is learned on them).

        Warns
        -----
        UserWarning
            If X has another number of channels than the weights read: these start anew, and are named.
        """
        self.check_is_fitted()
        adapted: Any = transferred(self, X, resolve_seed(self.random_state))
        return adapted  # type: ignore[no-any-return]

    def reset(self) -> Self:
        """Forget what was fitted; what scikit-learn attached to this object stays."""
        attached = {name: value for name, value in vars(self).items() if name in _ATTACHED}
        super().reset()
        self.__dict__.update(attached)
        return self

    def _take_official(
        self, path: str | os.PathLike[str], state: dict[str, Tensor], *, channels: int, steps: int = 1, part: str = ""
    ) -> Self:
        """Become fitted with weights of an official checkpoint, for data that its loaders have scaled already.

        Parameters
        ----------
        path : path
            Where the checkpoint lies.
        state : dict
            Weights under the names of the method, or of a part of it.
        channels, steps : int
            Of the series that the network is built for.
        part : str
            The submodule that the checkpoint holds; all by default.
        """
        self.channels_ = tuple(f"channel_{i}" for i in range(channels))
        self.time_unit_ = None
        self.scaler_ = fit_scaler(torch.zeros(1, channels, 1), None)
        try:
            self._build_untrained(Sizes(channels=channels, length=steps))
            self.method_.get_submodule(part).load_state_dict(state)
        except (RuntimeError, ValueError, AssertionError) as error:  # no network, other weights
            raise ValueError(
                f"{os.fspath(path)} is not a complete official checkpoint of {type(self).__name__}: {error}"
            ) from error
        self.training_ = None
        self._is_fitted = True
        return self

    def _fit_or_initialise(self, X: Any, y: Any, groups: Any, extra: Any, *, train: bool) -> Self:
        self.check_parameters()
        if is_source(X):
            self._check_source(X)
        y, groups, extra = self._in_order_of(X.names if is_source(X) else X, y, groups, extra)
        # sktime's fit resets the object, but keeps attributes with a double underscore in their (mangled) name
        self.__source = X if is_source(X) else None
        self.__panel = self._read(X.read(0) if is_source(X) else X, groups=None if is_source(X) else groups)
        self.__y, self.__groups, self.__extra, self.__train = y, groups, extra, train
        try:
            super().fit(self._for_sktime(X))
        finally:
            del self.__source, self.__panel, self.__y, self.__groups, self.__extra, self.__train
        return self

    def _read(self, X: Any, groups: Any = None, channels: tuple[str, ...] | None = None) -> Panel | None:
        """Read our own containers before sktime sees them; None for what sktime has to convert first."""
        refuse_source(X)
        framed = isinstance(X, pd.DataFrame | pd.Series) and modality_of(X) == "time_series"
        if not framed and not isinstance(X, np.ndarray | Tensor | list | tuple):
            return None
        return self._checked_panel(X, groups, channels)

    def _checked_panel(self, X: Any, groups: Any = None, channels: tuple[str, ...] | None = None) -> Panel:
        """As :func:`read_panel`; the error for channels other than at fit says how to take the model along."""
        try:
            return read_panel(X, groups=groups, channels=channels, dtype=torch.float64)
        except ChannelMismatch as error:
            raise ChannelMismatch(f"{error}. {_TAKE_ALONG}") from None

    def _for_sktime(self, X: Any) -> Any:
        """What sktime may check: the validated array where we have read it."""
        return X if self.__panel is None else self.__panel.batch.x.numpy()

    def _fit(self, X: Any, y: Any = None) -> Self:
        if self.__source is not None:
            return self._fit_source(self.__source)
        panel = self.__panel
        if panel is None:
            panel = self._checked_panel(X, self.__groups)
        self.channels_, self.time_unit_ = panel.channels, panel.time_unit
        self.scaler_ = fit_scaler(panel.batch.x, self.scaling)
        batch = self.scaled(panel)
        self._fit_batch(
            self._with_metadata(batch, self.__y, self.__extra) if self.__train else batch, train=self.__train
        )
        return self

    def _fit_source(self, source: Source) -> Self:
        """Learn of all series in one pass, then train on blocks of them."""
        seed, train = self._seed(), self.__train
        found = self._surveyed(SeriesSurvey, source, self.__y, self.__groups, self.__extra, seed, train)
        self.channels_, self.time_unit_ = found.channels, found.time_unit
        self.scaler_ = fit_scaler(found.sample.x, self.scaling, moments=found.moments)
        sample = found.sample.replace(x=self.scaler_.apply(found.sample.x))
        del found.sample

        def encode(raw: Any) -> Batch:
            panel = read_panel(raw, channels=self.channels_, dtype=torch.float64)
            return self.scaled(dataclasses.replace(panel, batch=padded(panel.batch, source.length)))

        self._fit_batch(sample, train=train, seed=seed, streamed=found.streamed(encode, self._training_rows))
        return self

    def _transform_source(self, source: Source, out: Any) -> Any:
        """Representations of a source, block by block."""
        check_modality(type(self).__name__, self.modality, source.modality, f"X, a {type(source).__name__},")

        def batches() -> Iterator[Batch]:
            for panel in block_panels(source, self.channels_):
                self._check_time_unit(panel)
                yield self.scaled(panel)

        result = self._embed_blocks(source, batches(), out)
        if isinstance(result, Path):
            return result
        return pd.DataFrame(result, index=source.names, columns=self._feature_names(result.shape[1]), copy=False)

    def _transform(self, X: Any, y: Any = None) -> pd.DataFrame:
        panel = self.__panel
        if panel is None:
            panel = self._checked_panel(X, channels=self.channels_)
        embedded = self.embed_panel(panel, out=self.__out)
        values = embedded.numpy() if self.__out is None else self.__out
        return pd.DataFrame(values, index=panel.index, columns=self._feature_names(values.shape[1]), copy=False)

    def embed_panel(self, panel: Panel, *, out: np.ndarray | None = None) -> Float[Tensor, "n d"]:
        """Representations ``(n, D)`` of series that were read already, as :meth:`transform` gives them.

        Parameters
        ----------
        panel : Panel
            In float64, in the units of fit; channels that have names are put in the order of fit.
        out : ndarray (n, D), optional
            Where to write them; the tensor that is returned is empty then.

        Raises
        ------
        ValueError
            If it has other channels, or time stamps of another unit that the network reads.
        """
        self.check_is_fitted()
        panel = with_channels(panel, self.channels_)
        self._check_time_unit(panel)
        return self.embed_batch(self.scaled(panel), out)

    def to_batch(self, X: Any, *, groups: Any = None) -> Batch:
        """Series as the network takes them: with the channels of fit, scaled.

        Parameters
        ----------
        X : panel
            See :func:`kinview.data.read_panel`.
        groups : array-like, optional
            Group (patient) of each series. Default: the outermost level of a hierarchical index.
        """
        return self.scaled(self.to_panel(X, groups=groups))

    def _any_panel(self, X: Any, groups: Any = None, channels: tuple[str, ...] | None = None) -> Panel:
        """A panel from any container; sktime's conversion where the container is not ours."""
        panel = self._read(X, groups, channels)
        if panel is None:
            panel = self._checked_panel(self._check_X_y(X=X)[0], groups, channels)
        return panel

    def to_panel(self, X: Any, *, groups: Any = None) -> Panel:
        """Series with the channels of fit, in their own units and float64, with the names of samples and channels.

        Parameters
        ----------
        X : panel
            See :func:`kinview.data.read_panel`.
        groups : array-like, optional
            Group (patient) of each series. Default: the outermost level of a hierarchical index.
        """
        self.check_is_fitted()
        panel = self._any_panel(X, groups, self.channels_)
        self._check_time_unit(panel)
        return panel

    def _sizes(self, batch: Batch) -> Sizes:
        n, channels, length = batch.x.shape
        return Sizes(channels=channels, length=length, rows=n)

    def _sizes_of_0_1(self) -> Sizes:
        channels = getattr(self.method_, "channels", len(self.channels_))
        return Sizes(channels=channels, length=self.__dict__.get("length_", 0))

    def _sizes_for(self, channels: int) -> Sizes:
        """Sizes of the network when the model is taken to series with other channels."""
        return dataclasses.replace(self.sizes_, channels=channels)

    def _training_rows(self, batch: Batch) -> Batch:
        """Series with an observation."""
        return with_something_observed([batch])[0]

    def _build(self, sizes: Sizes) -> Any:
        """Untrained method, with room for what completes its series."""
        method = super()._build(sizes)
        for filling in fillings(method):
            filling.make_room(sizes.length)
        return method

    def _prepare_method(self, batch: Batch, rows: Batch) -> None:
        """The typical time step goes to each front-end that shows it, and what completes series is learned."""
        for filling in fillings(self.method_):
            if isinstance(filling, GapFrontEnd):
                filling.set_step(rows.times)
        learn_fillings(self.method_, batch)

    def _reads_times(self) -> bool:
        """Whether an embedding depends on the time stamps and their unit."""
        return reads_times(self.method_)

    def _check_time_unit(self, panel: Panel) -> None:
        check_time_unit(self.method_, panel.time_unit, self.time_unit_, read=self._reads_times())

    def scaled(self, panel: Panel) -> Batch:
        """Series of a panel as the network takes them, in float32."""
        return panel.batch.replace(x=self.scaler_.apply(panel.batch.x))

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file."""
        self.check_is_fitted()
        facts = {
            "channels": list(self.channels_),
            "scaler": self.scaler_.to_config(),
            "time_unit": self.time_unit_,
            "sizes": self.sizes_.to_config(),
        }
        return facts, self.method_.inference_state()

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        self.channels_, self.time_unit_ = tuple(facts["channels"]), facts["time_unit"]
        self.scaler_ = Scaler.from_config(facts["scaler"])
        self.training_ = None
        self._restore_network(Sizes.from_config(facts["sizes"]) if "sizes" in facts else _sizes_of_0_1(facts), tensors)
        self._is_fitted = True

    def save(self, path: str | os.PathLike[str] | None = None, serialization_format: str = "safetensors") -> Any:
        """Write the fitted estimator; :func:`kinview.load_model` and ``sktime.base.load`` read it.

        Parameters
        ----------
        path : path, optional
            With an ending (``model.safetensors``): that file. Without one, ``path.zip`` in sktime's layout around the
            same bytes. None: the pair that ``sktime.base.load`` takes, in memory.
        serialization_format : str
            Kept for sktime's signature; the bytes are safetensors whatever it says.

        Raises
        ------
        TypeError
            If a parameter has no config; it is named.
        """
        if path is None:
            return type(self), dump_model(self)
        if Path(path).suffix:
            return save_model(self, path)
        if Path(path).is_dir():
            raise IsADirectoryError(f"{os.fspath(path)} is a folder; name a file in it, such as model.safetensors")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("_metadata", pickle.dumps(type(self)))  # sktime.base.load reads the class; we never do
            archive.writestr("_obj", dump_model(self))
        return atomic_write(Path(f"{os.fspath(path)}.zip"), buffer.getvalue())

    @classmethod
    def load_from_serial(cls, serial: bytes) -> Any:
        """Estimator from the bytes that ``save(None)`` gave."""
        return parse_model(serial, "the serialised model")

    @classmethod
    def load_from_path(cls, serial: str | os.PathLike[str]) -> Any:
        """Estimator from a file that ``save`` wrote."""
        return load_model(serial)


def transferred(estimator: EstimatorCore, X: Any, seed: int) -> EstimatorCore:
    """Own copy for series of another data set: channels, scaling, time unit, and what fills gaps, are those of X.

    Weights that read another number of channels than X has start anew; a warning names them. A model that reads the
    names of columns is taken to the table X.

    Raises
    ------
    ValueError
        For an estimator of tables whose network reads columns by their place.
    """
    if isinstance(estimator, MultiTableEstimator):
        return estimator.adapt(X)
    if not isinstance(estimator, SeriesEstimator):
        raise ValueError(
            f"transfer=True is for series and for methods that read the names of columns, such as TransTab: "
            f"{type(estimator).__name__} reads the columns of the table that it was "
            f"fitted on; give X with the same columns and transfer=False"
        )
    twin = own_copy(estimator)
    assert isinstance(twin, SeriesEstimator)
    panel = twin._any_panel(X)
    twin.channels_, twin.time_unit_ = panel.channels, panel.time_unit
    twin.scaler_ = fit_scaler(panel.batch.x, twin.scaling)
    if len(panel.channels) != len(estimator.channels_):
        _rebuild(twin, estimator, panel, seed)
    batch = twin.scaled(panel)
    if any(filling.learns for filling in fillings(twin.method_)):
        learn_fillings(twin.method_, batch)
    twin._learn_after_training(batch, seed)
    return twin


def _rebuild(twin: SeriesEstimator, original: SeriesEstimator, panel: Panel, seed: int) -> None:
    """Network for the channels of the panel, with every trained weight that fits."""
    trained = original.method_.state_dict()
    twin._build_untrained(original._sizes_for(len(panel.channels)), seed)
    fresh = twin.method_.state_dict()
    kept = {name: value for name, value in trained.items() if name in fresh and fresh[name].shape == value.shape}
    twin.method_.load_state_dict(kept, strict=False)
    learned = tuple(f"{name}." for name, part in twin.method_.named_modules() if isinstance(part, Completion))
    anew = [name for name in fresh if name not in kept and not name.startswith(learned)]
    if anew:
        warnings.warn(
            f"X has {len(panel.channels)} channel(s), the encoder was trained with {len(original.channels_)}: these "
            f"weights start anew: {', '.join(anew)}",
            UserWarning,
            stacklevel=5,
        )


def _sizes_of_0_1(facts: dict[str, Any]) -> Sizes:
    """Sizes from a model file of kinview 0.1.0, which held no more of them than a method needed."""
    return Sizes(channels=facts.get("encoder_channels", len(facts["channels"])), length=facts.get("length", 0))
