"""Uploads: a file is sent first, its number is named in messages and hand-ins afterwards."""

from __future__ import annotations

from starlette.responses import Response

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, bad_values, done, found, missing_parameters
from sandbox.world import queries

FIELD = "upload_files"  # [SPEC]
BIGGEST = 100 * 1024 * 1024  # [CAP]


def upload(call: Call) -> Answer:
    """Multipart, field `upload_files`; the document asks for no token, so the owner may be nobody (0)."""
    owner = call.account.user_id if call.account else 0
    parts = [part for part in call.parameters.uploads if part.field.removesuffix("[]") == FIELD]
    if not parts:
        raise missing_parameters()
    part = parts[0]
    if not part.content or len(part.content) > BIGGEST:
        raise bad_values()
    stored = call.world.new_file(_plain_name(part.name), owner, part.content)
    stored.mime = part.mime
    call.entry.decide("file stored", file_id=stored.id, size=stored.size)
    return found({"id": stored.id, "name": stored.name, "path": stored.path})


def _plain_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2] or "file"


def uploaded(call: Call) -> Response:
    """The bytes of a file by its `path`."""
    path = call.parameters.needed_text("path")
    stored = next((file for file in call.world.files.values() if file.path == path), None)
    if stored is None or not queries.may_read_file(call.world, call.me().user_id, stored):
        raise bad_values()
    return Response(stored.read(), media_type=stored.mime)


def delete(call: Call) -> Answer:
    """Takes `file_id`."""
    stored = call.world.files.get(call.parameters.needed_integer("file_id"))
    if stored is None or stored.owner_id != call.me().user_id:
        raise bad_values()
    del call.world.files[stored.id]
    call.world.changed()
    return done()


METHODS: Methods = {
    "fileUpload": Method(upload, is_open=True),
    "uploadedFile": Method(uploaded),
    "fileDelete": Method(delete),
}
