"""Light calls and files."""

from starlette.responses import Response

from sandbox import pages
from sandbox.web.visit import Visit, answer, html, redirect
from sandbox.world import queries


async def check_notify(visit: Visit) -> Response:
    if visit.account is None:
        return answer({"success": False, "data": {"error": "Необходима авторизация"}})
    dialogs = queries.dialogs_of(visit.world, visit.account.user_id)
    unread = sum(dialog.unread_count() for dialog in dialogs)
    tracks = sum(t.unread for o in queries.orders_of(visit.world, visit.account.user_id) for t in o.tracks)
    return answer({"success": True, "data": {"unread_dialog_count": unread, "notify_unread_count": tracks}})


async def check_worker_offers(visit: Visit) -> Response:
    if visit.account is None:
        return answer({"success": False, "data": {"error": "Необходима авторизация"}})
    return answer(
        {"success": True, "data": {"has_offers": bool(queries.offers_of(visit.world, visit.account.user_id))}}
    )


async def download(visit: Visit) -> Response:
    """Projects' files are everybody's; others want a session of somebody who has them [assumed]."""
    wanted = visit.request.path_params["hash"]
    found = next((f for f in visit.world.files.values() if f.hash == wanted), None)
    if found is not None and not queries.is_public_file(visit.world, found):
        if visit.account is None:
            visit.entry.decide("a file that is not public: to the login page")
            return redirect("/login")
        if not queries.may_read_file(visit.world, visit.account.user_id, found):
            visit.entry.decide("somebody else's file")
            found = None
    if found is None:
        return html("", 404)
    visit.entry.decide("file given", file_id=found.id, size=found.size)
    return Response(found.read(), media_type=found.mime)


async def favicon(visit: Visit) -> Response:
    return Response(b"", 204)


async def not_access(visit: Visit) -> Response:
    return html(pages.BLOCKED, 403)
