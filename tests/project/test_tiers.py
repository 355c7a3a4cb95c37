"""Tiers of tests exclude each other, and plain ``pytest`` runs none of them."""

from __future__ import annotations

import pytest

from tiers import TIERS, refuse_two_tiers


@pytest.mark.parametrize("tier", TIERS)
def test_plain_pytest_leaves_a_tier_out(tier: str, pytestconfig: pytest.Config) -> None:
    assert f"not {tier}" in " ".join(pytestconfig.getini("addopts"))
    assert any(line.startswith(f"{tier}:") for line in pytestconfig.getini("markers"))


def test_a_test_of_two_tiers_is_refused(request: pytest.FixtureRequest) -> None:
    item = request.node
    refuse_two_tiers([item])
    item.add_marker("slow")
    refuse_two_tiers([item])
    item.add_marker("nightly")
    with pytest.raises(pytest.UsageError, match="is marked slow and nightly; a test belongs to one tier"):
        refuse_two_tiers([item])
