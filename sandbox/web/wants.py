"""A project as the web shows it: one row of `wants[]` (FACTS A4, mind the types) and one rendered card."""

from typing import Any

from sandbox.web.layout import roubles, text_html
from sandbox.world import World
from sandbox.world.clock import moscow, moscow_words, time_left
from sandbox.world.model import DURATIONS, Badge, Project, StoredFile, User
from sandbox.world.queries import categories_by_id, is_listed

CUT = 300  # characters of the short copy of a description


def want_row(world: World, project: Project, web_url: str, viewed_at: float | None = None) -> dict[str, Any]:
    buyer, active = world.users[project.user_id], is_listed(world, project)
    status = "archived" if project.status == "active" and not active else project.status
    now = world.clock.now()
    return {
        "id": project.id,
        "status": status,
        "name": project.name,
        "description": project.description,
        "lang": "ru",
        "category_id": str(project.category_id),
        "priceLimit": f"{project.price_limit}.00",
        "possiblePriceLimit": project.possible_price_limit,
        "isHigherPrice": project.is_higher_price,
        "max_days": str(project.max_days),
        "kwork_count": project.kwork_count,
        "views_dirty": str(project.views),
        "date_create": moscow(project.date_create),
        "date_active": moscow(project.date_active),
        "date_expire": moscow(project.date_expire),
        "date_reject": None,
        "wantDates": {
            "dateCreate": moscow_words(project.date_create),
            "dateActive": moscow_words(project.date_active),
            "dateExpire": moscow_words(project.date_expire),
            "dateReject": None,
        },
        "timeLeft": time_left(project.date_expire - now),
        "isWantActive": active,
        "isWantArchive": not active,
        "altStatusHint": {
            "color": "green" if active else "gray",
            "title": project.hint if active else "Проект закрыт",
        },
        "availableDurations": list(DURATIONS),
        "getPriceThreshold": 4000,
        "files": [_file_row(f, project, web_url) for f in project.files],
        "user": _user_row(world, buyer),
        "wantUserGetProfileUrl": f"/user/{buyer.username}",
        "getWantsActiveCount": str(_active_wants(world, buyer)),
        "isOtherActiveWantsExceptByWantId": _active_wants(world, buyer) > 1,
        "hasPortfolioAvailable": False,
        "isNeural": project.is_neural,
        "isUserWant": False,
        "userAlreadyWork": None,
        "alreadyWork": None,
        "dateView": moscow(viewed_at) if viewed_at else None,
        "categoryLinksIdRu": project.category_id,
        "orderManagerStatusDone": 5,
        "wantGetSumOrderCount": 0,
        "getReviewCanChange": False,
        "projectReviewType": None,
        "currentUserReviewType": None,
    }


def need_portfolio_row(world: World, project: Project) -> dict[str, Any]:
    """One value of `userNeedPortfolioList`, and the answer of `check_offer_notify`."""
    category = categories_by_id(world)[project.category_id]
    return {
        "categoryId": project.category_id,
        "parentCategoryId": category.parent_id,
        "classificationId": project.attribute_ids[0] if project.attribute_ids else None,
        "isUserNeedPortfolio": project.need_portfolio,
        "isUserNeedPortfolioNotify": project.need_portfolio,
        "isUserNeedKworkNotify": project.need_gig,
        "userNeedPortfolioRubricName": category.title if project.need_portfolio else "",
        "urlForCreatePortfolio": "/portfolio" if project.need_portfolio else "",
        "isNeural": project.is_neural,
    }


def _active_wants(world: World, buyer: User) -> int:
    """Counted once per revision of the world: every row asks."""
    if world.active_wants is None or world.active_wants[0] != world.revision:
        counts: dict[int, int] = {}
        for project in world.projects.values():
            if is_listed(world, project):
                counts[project.user_id] = counts.get(project.user_id, 0) + 1
        world.active_wants = (world.revision, counts)
    return world.active_wants[1].get(buyer.user_id, 0)


def _user_row(world: World, user: User) -> dict[str, Any]:
    return {
        "USERID": user.user_id,
        "username": user.username,
        "profilepicture": user.picture,
        "profilePictureSrcSet": f"/i/avatar/{user.picture} 1x, /i/avatar/2x/{user.picture} 2x",
        "badges": [_badge_row(world, user, badge) for badge in user.badges],
        "data": {"wants_count": str(user.wants_count), "wants_hired_percent": str(user.hired_percent)},
    }


def _badge_row(world: World, user: User, badge: Badge) -> dict[str, Any]:
    return {
        "id": user.user_id % 100000 + badge.id,
        "user_id": str(user.user_id),
        "badge_id": str(badge.id),
        "date_create": moscow(user.registered_at),
        "badge": {
            "id": badge.id,
            "title": badge.title,
            "description": badge.description,
            "super_title": "",
            "super_description": "",
            "payer_level": badge.payer_level,
            "is_super_payer": badge.payer_level > 2,
            "sort": badge.id,
        },
    }


def _file_row(stored: StoredFile, project: Project, web_url: str) -> dict[str, Any]:
    return {
        "FID": stored.id,
        "USERID": str(stored.owner_id),
        "type_entity": 54,
        "entity_id": str(project.id),
        "fname": stored.name,
        "s": stored.hash,
        "size": stored.size,
        "time": str(int(stored.at)),
        "miniature_creating_attempts": 0,
        "permanent": 1,
        "mime_type_id": 9,
        "sort_index": 0,
        "file_image_representation": None,
        "lang": "ru",
        "status": "active",
        "storage": "s3",
        "miniature_status": None,
        "url": f"{web_url}{stored.path}",
    }


def card(row: dict[str, Any]) -> str:
    """The rendered card [CAP]: two copies of the text, the viewed mark always there, hidden by style."""
    user, number = row["user"], row["id"]
    text = text_html(row["description"])
    short = text if len(text) <= CUT else text_html(_cut(row["description"])) + "…"
    ceiling = ""
    if row["isHigherPrice"]:
        ceiling = (
            '<div class="wants-card__description-higher-price">Допустимый: до '
            f'<div class="d-inline">{roubles(row["possiblePriceLimit"])}</div></div>'
        )
    return f"""<div class="want-card want-card--list want-card--hover" data-id="{number}">
<div class="want-card__mark-viewed">ПРОСМОТРЕНО</div>
<div class="want-card__header"><div class="wants-card__left">
<h1 class="wants-card__header-title breakwords pr250"><a href="/projects/{number}">{row["name"]}</a></h1>
<div class="wants-card__description-text"><div class="breakwords d-inline">{short}</div>
<div class="breakwords d-none">{text}</div></div></div>
<div class="wants-card__right"><div class="wants-card__price"><span>Желаемый бюджет: до</span>
<div class="d-inline">{roubles(float(row["priceLimit"]))}</div></div>{ceiling}</div></div>
<div class="want-payer-statistic"><div>Покупатель: <a class="v-align-t" href="/user/{user["username"]}">\
{user["username"]}</a></div>
<div>Размещено проектов на бирже: {user["data"]["wants_count"]}</div>
<div>Нанято: {user["data"]["wants_hired_percent"]}%</div></div>
<div class="want-card__informers-row"><span>Осталось: {row["timeLeft"]}</span>
<span>Предложений: {row["kwork_count"]}</span></div></div>
"""


def _cut(description: str) -> str:
    """Never in the middle of an HTML entity."""
    short = description[:CUT]
    amp = short.rfind("&")
    return short[:amp] if amp > short.rfind(";") else short
