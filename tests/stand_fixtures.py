"""The stand-in Kwork as fixtures."""

from collections.abc import Iterator

import pytest

from tests.stand import Stand


@pytest.fixture(scope="session")
def stand() -> Iterator[Stand]:
    """The stand-in Kwork and demo CRM, one process for the whole run."""
    with Stand.start("--projects", "24", "--orders", "8") as running:
        yield running


@pytest.fixture
def kwork_stand(stand: Stand) -> Iterator[Stand]:
    """The stand with a fresh small world: 30 projects, 16 orders (every status), two accounts. Its faults end here."""
    stand.reset(seed=7, projects=30, orders=16, accounts=2, gigs=12, dialogs=8)
    stand.set(strict_signin=False, mobile_key="")
    yield stand
    stand.clear_faults()
