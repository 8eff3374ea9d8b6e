"""Planning what one account sends to Kwork: which surface does it and with which exact call. No network.

``Invalid`` for what Kwork cannot take, ``CapabilityUnavailable`` where the account lacks the surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.accounts import Capability
from app.domain.errors import Invalid
from app.domain.kwork import Surface
from app.domain.writing import GigForm, OfferForm, OutgoingFile, PlannedCall, StageDraft
from app.marketplaces.kwork import page_plans
from app.marketplaces.kwork.mobile import plans as mobile_plans
from app.marketplaces.kwork.outgoing import whole_roubles
from app.marketplaces.kwork.web import plans as web_plans
from app.marketplaces.kwork.web.fields import GigFields
from app.marketplaces.kwork.web.pages.gig_form import price_field
from app.services.kwork_capabilities import Reach, surfaces_for


class KworkPlans:
    """Planned calls of one account; ``reach`` says what it has at hand."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    def surface_of(self, capability: Capability) -> Surface:
        """The surface that does it. Raises ``CapabilityUnavailable`` with what is missing."""
        return surfaces_for(capability, self._reach)[0]

    def prepare_offer(self, form: OfferForm, message: str) -> tuple[PlannedCall, ...]:
        """What comes before ``create_offer``, in order; may be repeated."""
        self.surface_of(Capability.RESPOND)
        return web_plans.prepare_offer(form, message)

    def create_offer(
        self,
        project_id: int,
        *,
        title: str,
        message: str,
        price_kopecks: int,
        duration_days: int,
        file_ids: Sequence[int] = (),
    ) -> PlannedCall:
        """``file_ids`` are of files uploaded to the site."""
        self.surface_of(Capability.RESPOND)
        return web_plans.create_offer(
            project_id,
            title=title,
            message=message,
            price_kopecks=price_kopecks,
            duration_days=duration_days,
            file_ids=file_ids,
        )

    def offer_by_page(
        self,
        project_id: int,
        *,
        title: str,
        message: str,
        price_kopecks: int,
        duration_days: int,
        files: Sequence[OutgoingFile] = (),
    ) -> PlannedCall:
        """The offer through the real form in a browser."""
        self.surface_of(Capability.WRITE_BY_PAGE)
        return page_plans.offer(
            project_id,
            title=title,
            message=message,
            price_kopecks=price_kopecks,
            duration_days=duration_days,
            files=files,
        )

    def message_by_page(
        self, username: str, user_id: int, text: str, *, files: Sequence[OutgoingFile] = ()
    ) -> PlannedCall:
        """On the dialog's page in a browser; opening it marks the dialog read on Kwork."""
        self.surface_of(Capability.WRITE_BY_PAGE)
        return page_plans.message(username, user_id, text, files=files)

    def hand_in_by_page(
        self, order_id: int, *, stage_ids: Sequence[int] = (), files: Sequence[OutgoingFile] = ()
    ) -> PlannedCall:
        """On the order's page in a browser, by visible names: unverified on the live site."""
        self.surface_of(Capability.WRITE_BY_PAGE)
        return page_plans.hand_in(order_id, stage_ids=stage_ids, files=files)

    def delete_offer(self, offer_id: int) -> PlannedCall:
        self.surface_of(Capability.OFFERS)
        return mobile_plans.delete_offer(offer_id)

    def upload_file(self, file: OutgoingFile, *, surface: Surface = Surface.MOBILE) -> PlannedCall:
        """``WEB`` for files of an offer, ``MOBILE`` for those of messages and hand-ins; may be repeated."""
        if surface is Surface.WEB:
            self.surface_of(Capability.RESPOND)
            return web_plans.upload_file(file)
        self.surface_of(Capability.FILES)
        return mobile_plans.upload_file(file)

    def take_order(self, order_id: int) -> PlannedCall:
        return self._order(mobile_plans.take_order(order_id))

    def report(self, order_id: int, *, progress: int, comment: str) -> PlannedCall:
        return self._order(mobile_plans.report(order_id, progress, comment))

    def stage_progress(self, order_id: int, progress: Mapping[int, int], comment: str) -> PlannedCall:
        """``progress``: percent by number of stage."""
        return self._order(mobile_plans.stage_progress(order_id, progress, comment))

    def hand_in(
        self, order_id: int, *, stage_ids: Sequence[int] = (), file_ids: Sequence[int] = ()
    ) -> PlannedCall:
        return self._order(mobile_plans.hand_in(order_id, stage_ids, file_ids))

    def suggest_stages(
        self, order_id: int, *, days: int, message: str, stages: Sequence[StageDraft]
    ) -> PlannedCall:
        return self._order(mobile_plans.suggest_stages(order_id, days, message, stages))

    def create_stages(self, order_id: int, *, extend_days: int, stages: Sequence[StageDraft]) -> PlannedCall:
        return self._order(mobile_plans.create_stages(order_id, extend_days, stages))

    def edit_stages(self, order_id: int, *, extend_days: int, stages: Sequence[StageDraft]) -> PlannedCall:
        return self._order(mobile_plans.edit_stages(order_id, extend_days, stages))

    def delete_stage(self, order_id: int, stage_id: int) -> PlannedCall:
        return self._order(mobile_plans.delete_stage(order_id, stage_id))

    def accept_stages(self, order_id: int) -> PlannedCall:
        return self._order(mobile_plans.accept_stages(order_id))

    def reject_stages(self, order_id: int) -> PlannedCall:
        return self._order(mobile_plans.reject_stages(order_id))

    def cancel_order(self, order_id: int, *, reason: str, message: str = "") -> PlannedCall:
        """``reason``: a code of ``cancel_reasons``."""
        return self._order(mobile_plans.cancel_order(order_id, reason, message))

    def confirm_cancel(self, order_id: int) -> PlannedCall:
        return self._order(mobile_plans.confirm_cancel(order_id))

    def reject_cancel(self, order_id: int) -> PlannedCall:
        return self._order(mobile_plans.reject_cancel(order_id))

    def withdraw_cancel(self, order_id: int) -> PlannedCall:
        return self._order(mobile_plans.withdraw_cancel(order_id))

    def send_message(
        self,
        user_id: int,
        text: str,
        *,
        file_ids: Sequence[int] = (),
        order_id: int | None = None,
        reply_to: int | None = None,
        message_key: str | None = None,
    ) -> PlannedCall:
        """To the dialog, or with ``order_id`` into the order's thread.

        By the site, where the mobile surface is lacking, without files, orders and ``message_key``: raises
        ``CapabilityUnavailable`` for the first two, leaves the key out.
        """
        if self.surface_of(Capability.SEND_MESSAGE) is Surface.MOBILE:
            return mobile_plans.send_message(
                user_id,
                text,
                file_ids=file_ids,
                order_id=order_id,
                reply_to=reply_to,
                message_key=message_key,
            )
        if file_ids:
            self.surface_of(Capability.FILES)
        if order_id is not None:
            self.surface_of(Capability.ORDERS_WRITE)
        return web_plans.send_message(user_id, text, reply_to=reply_to)

    def mark_read(self, user_id: int) -> PlannedCall:
        self.surface_of(Capability.MARK_READ)
        return mobile_plans.mark_read(user_id)

    def gig_changes(
        self,
        form: GigForm,
        *,
        title: str | None = None,
        description: str | None = None,
        price_kopecks: int | None = None,
        days: int | None = None,
    ) -> dict[str, str]:
        """What is asked of a gig, by the names of its form's fields. Raises ``Invalid`` where it has none."""
        price = price_field(form)
        if price is None and price_kopecks is not None:
            raise Invalid("В форме этого кворка нет цены: измените её на сайте.", field="price")
        roubles = None if price_kopecks is None else str(whole_roubles(price_kopecks, "price"))
        asked = {
            GigFields.TITLE: title,
            GigFields.DESCRIPTION: description,
            GigFields.DAYS: None if days is None else str(days),
            price or "": roubles,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def save_gig(self, form: GigForm, changes: Mapping[str, str | Sequence[str]]) -> PlannedCall:
        """The form with these fields changed and the rest as it was. ``Invalid`` for a field it lacks."""
        self.surface_of(Capability.GIGS_EDIT)
        return web_plans.save_gig(form, changes)

    def start_gig(self, gig_id: int) -> PlannedCall:
        mobile = self.surface_of(Capability.GIGS_RUN) is Surface.MOBILE
        return mobile_plans.start_gig(gig_id) if mobile else web_plans.start_gig(gig_id)

    def pause_gig(self, gig_id: int) -> PlannedCall:
        mobile = self.surface_of(Capability.GIGS_RUN) is Surface.MOBILE
        return mobile_plans.pause_gig(gig_id) if mobile else web_plans.pause_gig(gig_id)

    def _order(self, call: PlannedCall) -> PlannedCall:
        self.surface_of(Capability.ORDERS_WRITE)
        return call
