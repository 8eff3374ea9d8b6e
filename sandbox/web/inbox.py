"""Dialogs on the web (A8): the list in the page, one dialog drawn by its script, sending."""

from typing import Any

from starlette.responses import Response

from sandbox.refusals import asked_for
from sandbox.web.form_scripts import MESSAGE_SCRIPT, impatient
from sandbox.web.layout import message_page, render
from sandbox.web.php import php_json, php_object
from sandbox.web.visit import Visit, answer, html
from sandbox.world import changes, queries
from sandbox.world.clock import moscow_words
from sandbox.world.model import Account, Dialog, Message, User

PER_PAGE = 50  # [CAP]
LONGEST = 4000
MOST_FILES = 10
FORBIDDEN = "Переписка запрещена"
TYPES = (
    *("support", "inbox_allow_request", "auto", "custom_request", "offer_kwork_new"),
    *("offer_kwork_payer_cancel", "offer_kwork_worker_cancel", "text"),
)


async def page(visit: Visit) -> Response:
    number = visit.incoming.query.get("page", "1")
    found = queries.dialogs_of(visit.world, _me(visit).user_id)
    shown = queries.page_of(found, int(number) if number.isdecimal() else 1, PER_PAGE)
    rows: Any = [_chat_row(visit, dialog) for dialog in shown.items]
    if drift := visit.faults.drift():
        rows = drift.shape(rows)
    return html(render(visit, "Сообщения — Kwork", _frame(visit, ""), window=_window(rows, shown.total)))


def _window(rows: Any, total: int) -> dict[str, Any]:
    return {"chatList": rows, "chatListItemsPerPage": PER_PAGE, "chatListTotal": total, "messageTypes": TYPES}


def _frame(visit: Visit, username: str, form: str = "") -> str:
    return f"""<div class="chat-page"><div class="chat__list"></div>
<div class="chat__messages" data-username="{username}"></div>{form}</div>"""


def _form(visit: Visit, user: User) -> str:
    """The form of A8 [CAP]; that it takes files, and what stands in its place where nobody may write, is assumed."""
    refusal = asked_for(visit.faults) or _closed(visit, user.user_id)
    if refusal:
        return f'<div class="chat__closed">{refusal}</div>'
    token = visit.session.csrf if visit.session else ""
    return f"""<form id="new_message" action="/sendmessage" method="post" enctype="multipart/form-data">
<input type="hidden" name="csrftoken" value="{token}"><input type="hidden" name="submg" value="1">
<input type="hidden" name="msgto" value="{user.user_id}"><input type="hidden" name="kworkId" value="">
<input type="hidden" name="want_id" value=""><input type="hidden" name="message_id" value="">
<input type="hidden" name="message_message_format" value="">
<textarea name="message_body" maxlength="{LONGEST}" placeholder="Введите сообщение"></textarea>
<label>Прикрепить файл <input type="file" name="files[]" multiple></label><ul class="chat__files"></ul>
<div class="k-input__error" style="display:none"></div><button type="submit">Отправить</button></form>"""


def _chat_row(visit: Visit, dialog: Dialog) -> dict[str, Any]:
    world, last = visit.world, dialog.messages[-1]
    user = world.users[dialog.user_id]
    return {
        "app_id": 1,
        "member_id": user.user_id,
        "user_id": user.user_id,
        "USERID": user.user_id,
        "username": user.username,
        "live_date": str(int(user.live_at)),
        "status": "active",
        "pic": user.picture,
        "srcset": f"/i/avatar/{user.picture} 1x",
        "avatarColor": f"color-{user.user_id % 9}",
        "moderationStatus": None,
        "unread_count": dialog.unread_count(),
        "is_archived": dialog.archived,
        "is_starred": dialog.starred,
        "has_answer": last.from_id == dialog.account_id,
        "is_online": user.is_online,
        "has_active_order": queries.has_active_order(world, dialog.account_id, user.user_id),
        "is_support": user.is_support,
        "is_moderator": False,
        "isSpamPremoderated": False,
        "blocked": dialog.blocked,
        "allowedDialog": dialog.allowed,
        "draft": dialog.draft,
        "type": last.type,
        "MSGFROM": last.from_id,
        "MSGTO": last.to_id,
        "MID": last.id,
        "message": last.text,
        "time": int(last.at),
        "lastMessage": _message_row(visit, last),
    }


def _message_row(visit: Visit, message: Message) -> dict[str, Any]:
    author = visit.world.users[message.from_id]
    return {
        "MID": message.id,
        "MSGFROM": message.from_id,
        "MSGTO": message.to_id,
        "PID": message.project_id,
        "time": int(message.at),
        "unread": message.unread,
        "type": message.type,
        "created_order_id": message.order_id,
        "inbox_message_id": message.id,
        "track_id": None,
        "updated_at": int(message.updated_at) if message.updated_at else None,
        "forward_id": None,
        "quote_id": message.quote_id,
        "deleted_at": None,
        "message": message.text,
        "files": [
            {"FID": f.id, "fname": f.name, "s": f.hash, "size": f.size, "url": f.path} for f in message.files
        ],
        "voiceMessage": None,
        "author": {"USERID": author.user_id, "username": author.username, "pic": author.picture},
    }


async def dialog(visit: Visit) -> Response:
    """Marks the dialog read; the messages come by the page's script and are not in the HTML [CAP]."""
    user = visit.world.by_username.get(visit.request.path_params["username"].lower())
    if user is None or user.user_id == _me(visit).user_id:
        return html(message_page(visit, "Диалог не найден", "Такого пользователя нет."), 404)
    read = changes.mark_read(visit.world, _me(visit).user_id, user.user_id)
    visit.entry.act("dialog marked read", messages=read)
    state = php_object({"interlocutor": php_json({"USERID": user.user_id, "username": user.username})})
    frame = _frame(visit, user.username, _form(visit, user))
    script = impatient(visit) + _SCRIPT + MESSAGE_SCRIPT
    return html(render(visit, f"Диалог с {user.username} — Kwork", frame, state=state, script=script))


async def messages(visit: Visit) -> Response:
    """What the page's script asks for; the real call is not publicly recorded, this one is invented."""
    user = visit.world.by_username.get(str(visit.incoming.params.get("username", "")).lower())
    found = visit.world.dialogs.get((_me(visit).user_id, user.user_id)) if user else None
    rows = [
        {**_message_row(visit, message), "timeText": moscow_words(message.at)}
        for message in (found.messages if found else ())
    ]
    return answer({"success": True, "data": {"messages": rows}})


async def send(visit: Visit) -> Response:
    """The form's call: JSON with `MID`. Refusals: text missing or too long, writing forbidden."""
    form, me = visit.incoming.form, _me(visit)
    receiver = visit.world.users.get(_int(form.get("msgto")) or 0)
    text = str(form.get("message_body", ""))
    uploads = visit.incoming.uploads[:MOST_FILES]
    refusal = _refusal(visit, receiver.user_id if receiver else None, text, bool(uploads))
    refusal = refusal or asked_for(visit.faults) or ""
    later = visit.faults.take("asked", name="expire_time")
    if later and not refusal:
        visit.entry.decide("message refused: too early")
        seconds = int(later.params.get("seconds", 60))
        return answer({"success": False, "error": FORBIDDEN, "response": {"expire_time": seconds}})
    if refusal or receiver is None:
        visit.entry.decide(f"message refused: {refusal}")
        return answer({"success": False, "status": "error", "error": refusal, "response": refusal})
    files = [visit.world.new_file(u.name, me.user_id, u.content) for u in uploads]
    message = changes.add_message(
        visit.world,
        me.user_id,
        receiver.user_id,
        text,
        files=files,
        project_id=_int(form.get("want_id")),
        quote_id=_int(form.get("message_id")),
    )
    visit.entry.act("message sent", message=message.id)
    return answer({"success": True, "status": "success", "MID": message.id, **_message_row(visit, message)})


def _refusal(visit: Visit, user_id: int | None, text: str, has_files: bool) -> str:
    if user_id is None or user_id == _me(visit).user_id:
        return "Пользователь не найден"
    if not text.strip() and not has_files:
        return "Введите сообщение"
    if len(text) > LONGEST:
        return f"Сообщение не может быть длиннее {LONGEST} символов"
    return _closed(visit, user_id)


def _closed(visit: Visit, user_id: int) -> str:
    found = visit.world.dialogs.get((_me(visit).user_id, user_id))
    return FORBIDDEN if found and (found.blocked or not found.allowed) else ""


def _int(value: Any) -> int | None:
    return int(value) if str(value).strip().isdecimal() else None


def _me(visit: Visit) -> Account:
    assert visit.account is not None, "the route is private"
    return visit.account


_SCRIPT = """
(function () {
  var place = document.querySelector('.chat__messages');
  var data = new URLSearchParams({username: place.getAttribute('data-username'), csrftoken: window.csrftoken});
  function part(parent, className, inner) {
    var made = document.createElement('div');
    made.className = className;
    made.innerHTML = inner;
    parent.appendChild(made);
  }
  fetch('/inbox/load_messages', {method: 'POST', body: data, credentials: 'same-origin',
    headers: {'X-Requested-With': 'XMLHttpRequest'}})
    .then(function (answer) { return answer.json(); })
    .then(function (answer) {
      answer.data.messages.forEach(function (message) {
        var item = document.createElement('div');
        item.className = 'track--item';
        item.setAttribute('data-message-id', message.MID);
        item.setAttribute('data-from-id', message.MSGFROM);
        item.setAttribute('data-time', message.time);
        var main = document.createElement('div');
        main.className = 'track--item__main';
        item.appendChild(main);
        part(main, 'track--item__information-login', message.author.username);
        part(main, 'js-track-text-message', message.message.replace(/\\n/g, '<br>'));
        part(main, 'track--item__date', message.timeText);
        message.files.forEach(function (file) {
          part(main, 'file-list__item', '<a download href="' + file.url + '">' + file.fname + '</a>');
        });
        place.appendChild(item);
      });
      place.setAttribute('data-ready', '1');
    });
})();
"""
