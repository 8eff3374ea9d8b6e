"""The web surface's routes."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import pages
from sandbox.door import Door
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.settings import Settings
from sandbox.web import (
    assets,
    exchange,
    gig_form,
    gigs,
    hand_in,
    inbox,
    light,
    offer_form,
    offers,
    orders,
    people,
    signin,
)
from sandbox.web.visit import Handler, Site, account_name, endpoint, html
from sandbox.world import World

PUBLIC, PRIVATE, WRITE = "public", "private", "write"  # WRITE: private, and the CSRF token must be right

ROUTES: tuple[tuple[str, str, Handler, str], ...] = (
    ("GET", "/", people.home, PUBLIC),
    ("GET", "/login", signin.login_page, PUBLIC),
    ("POST", "/api/user/login", signin.login, PUBLIC),
    ("GET", "/login-by-token", signin.login_by_token, PUBLIC),
    ("GET", "/logout", signin.logout, PUBLIC),
    ("GET", "/captcha_only", signin.captcha_only, PUBLIC),
    ("GET", "/projects", exchange.projects, PUBLIC),
    ("GET", "/projects/{id:int}", exchange.project_redirect, PUBLIC),
    ("GET", "/projects/{id:int}/view", exchange.project, PUBLIC),
    ("GET", "/projects/list/{username}", exchange.projects_of_buyer, PUBLIC),
    ("GET", "/exchange", exchange.gone, PUBLIC),
    ("POST", "/want-search/suggest", exchange.suggest, PUBLIC),
    ("GET", "/get_categories", exchange.categories, PUBLIC),
    ("GET", "/new_offer", offer_form.page, PRIVATE),
    ("GET", "/wants/{id:int}/check_offer_notify", offer_form.check_offer_notify, PUBLIC),
    ("POST", "/quick-faq/init", offer_form.quick_faq, PUBLIC),
    ("POST", "/wants/create_offer_draft", offer_form.draft, WRITE),
    ("POST", "/projects/check_is_template", offer_form.check_is_template, PUBLIC),
    ("POST", "/api/validation/checktext", offer_form.check_text, PUBLIC),
    ("POST", "/wants/portfolio", offer_form.portfolio, PRIVATE),
    ("POST", "/api/file/upload", offer_form.upload, PRIVATE),
    ("POST", "/api/offer/createoffer", offers.create, WRITE),
    ("POST", "/api/offer/editoffer", offers.edit, WRITE),
    ("POST", "/api/offer/deleteoffer", offers.delete, WRITE),
    ("POST", "/api/offer/addview", offers.add_view, WRITE),
    ("GET", "/manage_orders", orders.shell, PRIVATE),
    ("GET", "/get_manage_orders", orders.rows, PRIVATE),
    ("POST", "/api/order/getorderscount", orders.count, PUBLIC),
    ("GET", "/track", orders.track, PRIVATE),
    ("POST", "/track/send_for_approval", hand_in.send, WRITE),
    ("GET", "/manage_kworks", gigs.page, PRIVATE),
    ("POST", "/manage_kworks/activate", gigs.activate, WRITE),
    ("POST", "/manage_kworks/suspend", gigs.suspend, WRITE),
    ("POST", "/delete_kwork", gigs.delete, WRITE),
    ("POST", "/api/user/get_kworks_tab", gigs.tab, PRIVATE),
    ("GET", "/edit", gig_form.edit, PRIVATE),
    ("GET", "/new", gig_form.new, PRIVATE),
    ("POST", "/save_kwork", gig_form.save, WRITE),
    ("GET", "/api/freeprice/categorygetprices", gig_form.prices, PUBLIC),
    ("POST", "/temp-image-upload", gig_form.image, PRIVATE),
    ("GET", "/inbox", inbox.page, PRIVATE),
    ("GET", "/inbox/{username}", inbox.dialog, PRIVATE),
    ("POST", "/inbox/load_messages", inbox.messages, WRITE),
    ("POST", "/sendmessage", inbox.send, WRITE),
    ("GET", "/user/{username}", people.profile, PUBLIC),
    ("GET", "/seller", people.seller, PRIVATE),
    ("GET", "/api/user/checknotify", light.check_notify, PUBLIC),
    ("POST", "/api/user/checkworkeroffers", light.check_worker_offers, PUBLIC),
    ("GET", "/files/uploaded/{a}/{b}/{hash}/{name}", light.download, PUBLIC),
    ("GET", "/favicon.ico", light.favicon, PUBLIC),
    ("GET", "/not_access.php", light.not_access, PUBLIC),
    ("GET", "/assets/{name}", assets.asset, PUBLIC),
)


def build(world: World, journal: Journal, faults: Faults, settings: Settings) -> ASGIApp:
    site = Site(world, faults, settings)
    routes = [
        Route(
            path,
            endpoint(site, handler, private=access != PUBLIC, csrf=access == WRITE),
            methods=[method],
        )
        for method, path, handler, access in ROUTES
    ]
    app = Starlette(routes=routes, exception_handlers={404: _technical_works, 405: _technical_works})
    return Door(
        app,
        surface="web",
        journal=journal,
        faults=faults,
        identify=lambda incoming: account_name(world, incoming),
    )


async def _technical_works(request: Request, error: Exception) -> Response:
    """An unknown route or a wrong verb: 200 and «Технические работы» [LIVE]."""
    request.state.entry.decide("unknown route or wrong verb: technical works")
    return html(pages.MAINTENANCE)
