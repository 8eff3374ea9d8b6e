"""``admin audit export``."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from app.admin.beside import actor, with_database
from app.commands import CommandError
from app.core.database import Database
from app.core.os_words import why
from app.core.settings import Settings
from app.repositories.audit import AuditFilter
from app.services.audit_lines import lines_of
from app.services.read_audit import ReadAudit


def export(settings: Settings, arguments: argparse.Namespace) -> None:
    """To a file that is not there yet, or to stdout."""
    wanted = AuditFilter(
        arguments.actor, arguments.action, arguments.target, arguments.since, arguments.until
    )
    tenant_id = arguments.tenant or settings.default_tenant_id
    try:
        with _output(arguments.output) as output:
            with_database(
                settings,
                lambda database: _export(database, output, tenant_id, wanted, arguments.format),
            )
            output.flush()
    except _Unwritten as error:
        raise CommandError(f"Записать выгрузку не удалось: {why(error.reason)}.") from None
    if arguments.output:
        print(f"Аудит тенанта «{tenant_id}» записан в {arguments.output}.")


class _Unwritten(Exception):
    """Apart from what the database may raise."""

    def __init__(self, reason: OSError) -> None:
        super().__init__()
        self.reason = reason


async def _export(
    database: Database, output: BinaryIO, tenant_id: str, wanted: AuditFilter, form: str
) -> None:
    portions = await ReadAudit(database).export(tenant_id, wanted, by=actor(), form=form)
    async for chunk in lines_of(portions, form):
        try:
            output.write(chunk)
        except OSError as error:
            raise _Unwritten(error) from error


def _output(path: Path | None) -> nullcontext[BinaryIO] | BinaryIO:
    if path is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return path.open("xb")
    except OSError as error:
        raise CommandError(f"Файл {path} создать не удалось: {why(error)}.") from None
