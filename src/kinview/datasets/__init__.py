"""Named data sets, and readers for data on disk.

``load("gunpoint")`` gives a bundled data set, ``load("ECG200")`` the folder of that name in the data folder
(``KINVIEW_DATA`` or ``data_dir``), :func:`load_path` whatever a file holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinview.exports import lazy_exports
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.datasets.archives import read_ts as read_ts, read_ucr as read_ucr
    from kinview.datasets.arff import read_arff as read_arff
    from kinview.datasets.dataset import Dataset as Dataset, split as split
    from kinview.datasets.description import describe as describe
    from kinview.datasets.folders import load_path as load_path, read_path as read_path
    from kinview.datasets.long import from_long as from_long, read_long as read_long
    from kinview.datasets.named import available as available, load as load
    from kinview.datasets.physionet2012 import read_physionet2012 as read_physionet2012
    from kinview.datasets.samples import Samples as Samples
    from kinview.datasets.tables import read_wide as read_wide
    from kinview.datasets.wfdb import read_wfdb as read_wfdb

lazy_exports(__name__)
datasets = Registry("datasets", members=("kinview.datasets.bundled",))
