"""The fault run's ledger: what a CRM carried out, in the order it did, whenever its answers came."""

from __future__ import annotations

from typing import Any

from bench.faults.ledger import Ledger

KEY = ("studio-1", "kwork:order:1")


class Journal:
    """A stand whose journal is what the test says."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)

    def journal(self, *, surface: str, since: int) -> list[dict[str, Any]]:
        assert surface == "crm"
        return [row for row in self.rows if row["seq"] > since]


def write(seq: int, deed: str, status: str, *, answered: bool = True) -> dict[str, Any]:
    return {
        "seq": seq, "account": KEY[0], "method": "POST", "real_at": 2e9 + seq, "decided": [f"lead {deed}"],
        "answered": {"ms": 5.0, "status": 200} if answered else None, "body": {"status": status},
        "details": {"external_id": KEY[1]}, "headers": {"host": "127.0.0.1:1"},
    }  # fmt: skip


def read(journal: Journal) -> Ledger:
    ledger = Ledger(journal)  # type: ignore[arg-type]
    ledger.read()
    return ledger


def test_a_write_that_was_answered_late_does_not_undo_what_came_after_it() -> None:
    journal = Journal(write(1, "created", "on_review", answered=False), write(2, "updated", "in_progress"))
    ledger = read(journal)
    assert ledger.status[KEY] == "in_progress"
    journal.rows[0]["answered"] = {"ms": 9000.0, "status": None}
    ledger.read()
    assert ledger.created["lead"][KEY] == 1
    assert ledger.status[KEY] == "in_progress"
    assert ledger.trail[KEY] == [(1, "on_review"), (2, "in_progress")]


def test_a_write_without_a_status_leaves_it_as_it_was() -> None:
    silent = write(2, "updated", "")
    silent["body"] = {"name": "Лид"}
    assert read(Journal(write(1, "created", "won"), silent)).status[KEY] == "won"
