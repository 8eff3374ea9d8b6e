"""How long things take in a run: the service's own waits shortened, so that a run takes minutes and not a day.

What is shortened is only time. Which wait follows which event, and that a lease ends by the database's clock, stay the
service's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_WHOLE = 100
"""So many faults make a run that is not a short one."""


@dataclass(frozen=True, slots=True)
class Size:
    """Seconds, but for the counts."""

    orders: int
    faults: int
    tenants: int
    accounts: int
    lease: float
    crm_deadline: float
    search_lag: float
    """What the service is told of the CRM's search; the stand-in's lags a little less."""
    sign_in_pause: float
    crm_patience: float
    """How long a fault of a CRM waits to be met."""
    settle: float
    """T: so long after the last fault everything must be right."""
    logins_per_minute: int = 20
    first_orders: float = 0.3
    """The share of orders that is there from the start; the others come while faults go on."""

    @classmethod
    def of(cls, orders: int, faults: int) -> Size:
        """Long for the headline run, short for the suite and the controls."""
        if faults < _WHOLE:
            return cls(orders, faults, tenants=2, accounts=2, lease=2.0, crm_deadline=1.0, search_lag=1.5, sign_in_pause=4.0, crm_patience=8.0, settle=40.0)  # fmt: skip
        return cls(orders, faults, tenants=3, accounts=6, lease=5.0, crm_deadline=3.0, search_lag=20.0, sign_in_pause=15.0, crm_patience=20.0, settle=120.0)  # fmt: skip

    @property
    def is_whole(self) -> bool:
        """The headline run, not a short one."""
        return self.faults >= _WHOLE

    @property
    def longest_lag(self) -> float:
        """Seconds from acting to being found, a little less than the service is told."""
        return self.search_lag - 0.2

    def shortened(self) -> str:
        """For ``launched.py``: names in the service and what they become."""
        waits: dict[str, Any] = {
            "app.crm.waiting:RETRY_AFTER_CAP": 5.0,
            "app.services.crm_breaker:SHORTEST_PAUSE": 1.0,
            "app.services.crm_breaker:LONGEST_PAUSE": 4.0,
            "app.services.delivery_decisions:LONGEST_WAIT": 4.0,
            "app.services.delivery_drain:LEASE_SECONDS": self.lease,
            "app.services.read_exchange:_LEASE_SECONDS": self.lease + 3.0,
            "app.services.run_scope:RUN_LEASE_SECONDS": self.lease,
        }
        return json.dumps(waits)
