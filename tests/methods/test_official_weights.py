"""What every method refuses as a checkpoint of the official code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kinview import TFC, TSTCC, TS2Vec

every_kind = pytest.mark.parametrize("kind", [TSTCC, TFC, TS2Vec])


@every_kind
@pytest.mark.parametrize("text", [b"", b"hello\n", b"0", b"]", b"N.", b"c\n", b"h\x05.", b"\x80\x02]q\x00h\x07."])
def test_a_text_file_is_not_a_checkpoint(tmp_path: Path, kind: Any, text: bytes) -> None:
    (tmp_path / "notes.txt").write_bytes(text)
    with pytest.raises(ValueError, match=r"notes\.txt is not a (PyTorch|TS-TCC|TF-C|TS2Vec) checkpoint"):
        kind.from_official(tmp_path / "notes.txt")


@every_kind
def test_a_file_that_is_not_there_is_said_so(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(FileNotFoundError):
        kind.from_official(tmp_path / "absent.pt")


@every_kind
def test_a_checkpoint_with_code_inside_is_refused_and_not_run(tmp_path: Path, kind: Any) -> None:
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> Any:
            return (Path.touch, (marker,))

    weights = {"weight": Payload()}
    for content in (weights, {"model_state_dict": Payload()}, {"model_state_dict": weights}):
        torch.save(content, tmp_path / "model.pt")
        with pytest.raises(ValueError, match="plain tensors"):
            kind.from_official(tmp_path / "model.pt")
    assert not marker.exists()
