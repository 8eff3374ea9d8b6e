"""The short run of ``python -m bench secrets``: nothing that is secret lies anywhere, and a planted leak is found."""

from __future__ import annotations

from pathlib import Path

from app.repositories.sealed import SEALED
from tests.canaries.drive import drive
from tests.canaries.forms import FORMS, planted, search
from tests.canaries.world import World
from tests.external_postgres import ExternalPostgres
from tests.stand import Stand


def test_no_secret_lies_in_logs_answers_metrics_or_the_database(
    stand: Stand, external_postgres: ExternalPostgres, tmp_path: Path
) -> None:
    stand.reset(seed=11, projects=10, orders=4, accounts=1, gigs=2, dialogs=2)
    stand.clear_faults()
    with World.made(tmp_path, stand, external_postgres) as world:
        drive(world, short=True)
        sealed = world.unsealed()
        secrets, surfaces = {**world.secrets, **sealed}, world.surfaces()
    assert {name.partition(" ")[0] for name in sealed} == {column.name for column in SEALED}
    assert (
        min(
            len(surfaces[name])
            for name in ("stdout", "logs/access.log", "API answers", "problems", "pg_dump")
        )
        > 1000
    )
    assert [(hit.secret, hit.form, hit.surface) for hit in search(secrets, surfaces)] == []
    found, n = planted(secrets, surfaces)
    assert found == n == len(FORMS) * len(surfaces)
