"""Every kind of write there is."""

from __future__ import annotations

from uuid import uuid4

from app.core.database import Database
from app.core.shutdown import Shutdown
from app.domain.writes import WriteAction
from app.services.change_order_stage import change_handlers
from app.services.connect_account import ConnectAccount
from app.services.deliver_order import DeliverOrder
from app.services.edit_gig import EditGig, SwitchGig
from app.services.files import Files
from app.services.hand_in_order import CheckDelivery, HandIn, UploadFile
from app.services.perform_write import HOLD_SECONDS, PerformWrite
from app.services.reconcile_writes import ReconcileWrites
from app.services.respond_to_project import DeleteOffer, RespondToProject
from app.services.send_message import MarkRead, SendMessage
from app.services.write_handlers import Handlers
from app.services.writes import WritesService


def all_handlers() -> Handlers:
    """A handler for each ``WriteAction``."""
    return Handlers(
        (
            RespondToProject(),
            DeleteOffer(),
            *change_handlers(),
            CheckDelivery(),
            UploadFile(),
            HandIn(),
            SendMessage(),
            MarkRead(),
            EditGig(),
            SwitchGig(WriteAction.PAUSE_GIG),
            SwitchGig(WriteAction.START_GIG),
        )
    )


def writes_service(
    database: Database,
    accounts: ConnectAccount,
    files: Files,
    *,
    absent_after_seconds: float,
    hold_seconds: float = HOLD_SECONDS,
    shutdown: Shutdown | None = None,
) -> WritesService:
    """The ledger's use cases of this process."""
    holder = f"writes-{uuid4()}"
    handlers = all_handlers()
    perform = PerformWrite(database, accounts, handlers, files, holder=holder, hold_seconds=hold_seconds)
    reconcile = ReconcileWrites(
        database, accounts, handlers, perform, holder=holder, absent_after_seconds=absent_after_seconds
    )
    deliver = DeliverOrder(database, accounts, handlers, perform, reconcile, holder=holder)
    return WritesService(
        database,
        accounts,
        handlers,
        files,
        perform=perform,
        reconcile=reconcile,
        deliver=deliver,
        shutdown=shutdown,
    )
