"""What is sealed opens in its own place only, in every sealed column there is."""

from __future__ import annotations

import asyncpg
import pytest

from app.core.crypto import SecretBox, SecretUnreadable, new_key
from app.core.database import SCHEMA, Database
from app.repositories.sealed import SEALED
from tests.sealed import seal_everywhere, sealed_rows

NOT_SEALED = {
    "account_sessions.resealed_from": "a hash of what was sealed",
    "market_projects.content_hash": "a hash",
    "orders.content_hash": "a hash",
    "gigs.content_hash": "a hash",
    "dialogs.content_hash": "a hash",
    "crm_links.payload_hash": "a hash",
    "deliveries.payload_hash": "a hash",
    "deliveries.sent_hash": "a hash",
    "kwork_writes.payload_hash": "a hash",
    "files.sha256": "a hash",
    "api_keys.hash": "a hash",
    "crm_event_addresses.secret_hash": "a hash",
}
COLUMNS = {column.name: column for column in SEALED}


async def test_every_binary_column_is_in_the_catalogue_or_known_to_hold_no_secret(
    owner: asyncpg.Connection,
) -> None:
    rows = await owner.fetch(
        "SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped "
        "AND a.atttypid = 'bytea'::regtype",
        SCHEMA,
    )
    assert {row["name"] for row in rows} == {*COLUMNS, *NOT_SEALED}


async def test_a_value_moved_to_another_row_field_or_tenant_does_not_open(
    database: Database, owner: asyncpg.Connection
) -> None:
    box = SecretBox(new_key("k1"))
    places = {}
    for tenant in ("a", "b"):
        await seal_everywhere(database, box, tenant, rows=2)
        for (column, key), sealed in (await sealed_rows(owner, tenant)).items():
            places[tenant, column, key] = (COLUMNS[column].place(tenant, *key), sealed)
    assert len(places) == 2 * 2 * len(SEALED)
    opened = refused = 0
    for there, (place, _) in places.items():
        for came_from, (_, sealed) in places.items():
            if there == came_from:
                box.unseal(sealed, place)
                opened += 1
            else:
                with pytest.raises(SecretUnreadable):
                    box.unseal(sealed, place)
                refused += 1
    assert (opened, refused) == (20, 380)


async def test_two_fields_of_one_row_have_places_of_their_own(database: Database) -> None:
    made = await seal_everywhere(database, SecretBox(new_key("k1")), "a")
    places = {COLUMNS[column].place("a", *key).associated_data() for column, key in made}
    assert len(places) == len(SEALED)
