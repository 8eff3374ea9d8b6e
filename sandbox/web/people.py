"""Home, profiles and the seller's room (A9)."""

from starlette.responses import Response

from sandbox.web.layout import message_page, render, text_html
from sandbox.web.visit import Visit, html
from sandbox.world.clock import moscow_words


async def home(visit: Visit) -> Response:
    """Served to everybody; signed out it only says so in the page's variables [CAP]."""
    if visit.account is None:
        body = '<section class="index-page"><h1>Фриланс-услуги от 500 ₽</h1></section>'
        return html(render(visit, "Kwork — маркетплейс услуг", body))
    body = f'<section class="index-page"><h1>Здравствуйте, {visit.account.username}!</h1></section>'
    return html(render(visit, "Kwork — маркетплейс услуг", body))


async def seller(visit: Visit) -> Response:
    return html(render(visit, "Кабинет продавца — Kwork", '<div class="seller-page"><h1>Продавцу</h1></div>'))


async def profile(visit: Visit) -> Response:
    """Selectors of 2025, unverified since."""
    user = visit.world.by_username.get(visit.request.path_params["username"].lower())
    if user is None:
        return html(message_page(visit, "Пользователь не найден", "Такого пользователя нет."), 404)
    skills = "".join(f'<div class="user-skills__item">{skill}</div>' for skill in user.skills)
    markup = f"""<div class="user-page" data-user-id="{user.user_id}">
<div class="profile-avatar__image"><img alt="{user.username}" data-src="/i/avatar/big/{user.picture}"></div>
<h1 class="user-username">{user.username}</h1>
<div class="user-fullname">{user.fullname}</div>
<div class="user-info__location">{user.location}</div>
<div class="user-info__registered">На сайте с {moscow_words(user.registered_at)}</div>
<div class="user-profession">{user.profession}</div>
<div class="user-about-me">{text_html(user.about)}</div>
<div class="user-skills">{skills}</div>
<div class="user-wants">Размещено проектов на бирже: {user.wants_count}, нанято: {user.hired_percent}%</div>
</div>"""
    if drift := visit.faults.drift():
        markup = drift.markup(markup)
    return html(render(visit, f"{user.username} — Kwork", markup))
