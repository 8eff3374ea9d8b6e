"""Every JSON name of the web surface, in one table; several names are tried in their order.

Marks: [CAP] seen in a raw capture, [LIVE] watched, [CODE] from an open client. Names without a mark are
guesses kept as second choices. Selectors stand in ``selectors.py``, addresses in ``paths.py``.
"""

from __future__ import annotations

from typing import Final

Names = tuple[str, ...]


class Window:
    """Variables in script tags [CAP]."""

    STATE: Final = "stateData"
    USER_ID: Final = "USER_ID"
    """A number when signed in, an empty string when not [CAP]."""
    ACTOR_TYPE: Final = "actorType"
    CSRF: Final = "csrftoken"
    CHAT_LIST: Final = "chatList"
    CHATS_PER_PAGE: Final = "chatListItemsPerPage"
    PULL_MODULE: Final = "pullModuleSettings"
    PULL_CHANNEL: Final = "channelId"
    """Inside of it: the websocket channel, ``cnl_…_<user id>`` [CAP]."""
    KNOWN: Final = (STATE, USER_ID, ACTOR_TYPE, CSRF, CHAT_LIST, PULL_MODULE)


class State:
    """Keys of ``window.stateData`` [CAP]; ``wantData`` [LIVE]."""

    WANTS: Final = "wants"
    LIST: Final = "wantsListData"
    PAGINATION: Final = "pagination"
    PAGINATION_ROWS: Final = "data"
    CATEGORIES: Final = "categories"
    OWN_FLAGS: Final = "userNeedPortfolioList"
    WANT: Final = "wantData"
    GROUPS: Final = "groups"
    POSTS: Final = "posts"
    PAGING: Final = "pagingdata"
    USERS: Final[Names] = ("user", "userProfile", "profile", "userData")


class Pagination:
    """Laravel's [CAP]."""

    CURRENT: Final[Names] = ("current_page",)
    LAST: Final[Names] = ("last_page",)
    SIZE: Final[Names] = ("per_page",)
    TOTAL: Final[Names] = ("total",)
    NEXT: Final = "next_page_url"


class Want:
    """One project of ``wants[]`` [CAP]."""

    ID: Final[Names] = ("id",)
    STATUS: Final[Names] = ("status",)
    NAME: Final[Names] = ("name",)
    DESCRIPTION: Final[Names] = ("description",)
    CATEGORY: Final[Names] = ("category_id",)
    PRICE: Final[Names] = ("priceLimit",)
    MAX_PRICE: Final[Names] = ("possiblePriceLimit",)
    OFFERS: Final[Names] = ("kwork_count",)
    VIEWS: Final[Names] = ("views_dirty",)
    CREATED: Final[Names] = ("date_create",)
    ACTIVE: Final[Names] = ("date_active",)
    EXPIRES: Final[Names] = ("date_expire",)
    HINT: Final = "altStatusHint"
    HINT_TITLE: Final[Names] = ("title",)
    HINT_IN_WORK: Final = "В работе"
    DURATIONS: Final = "availableDurations"
    FILES: Final = "files"
    BUYER: Final = "user"
    BUYER_DATA: Final = "data"
    BUYER_PROJECTS: Final[Names] = ("wants_count",)
    BUYER_HIRED: Final[Names] = ("wants_hired_percent",)
    VIEWED: Final = "dateView"
    STATUSES: Final = {
        "active": "active",
        "archived": "archived",
        "cancel": "cancelled",
        "delete": "cancelled",
        "stop": "stopped",
        "user_stop": "stopped",
        "new": "unknown",
        "wait_verify": "unknown",
    }
    """Values of ``wantModelStatuses`` and what we call them."""


class OfferForm:
    """State of ``/new_offer``. What is not marked is a guess: no capture is public."""

    DRAFT_KEY: Final[Names] = ("draftKey", "draft_key")  # LIVE: the page holds one, where is not told
    CONNECTS: Final = "connect"  # LIVE
    CONNECTS_LEFT: Final[Names] = ("connect_points",)  # LIVE
    CONNECTS_ALL: Final[Names] = ("accrued_connect_points",)  # LIVE
    MIN_PRICE: Final[Names] = ("minPrice", "categoryMinPrice")
    MAX_PRICE: Final[Names] = ("maxPrice",)
    DURATIONS: Final = "availableDurations"  # CAP: of a project


class Requirements:
    """``data`` of ``/wants/<id>/check_offer_notify`` [LIVE]; what the flags mean is read from their names."""

    PORTFOLIO: Final[Names] = ("isUserNeedPortfolio",)
    GIG: Final[Names] = ("isUserNeedKworkNotify",)
    RUBRIC: Final[Names] = ("userNeedPortfolioRubricName",)


class GigFields:
    """Names in the form of a gig [LIVE], and where the page's state keeps what the form lacks."""

    STATE: Final = "kwork"
    ATTRIBUTES: Final = "attributes"
    ATTRIBUTE: Final = "attribute"
    FAQ: Final = "faq"
    MARK: Final = ("is_save_kwork", "1")
    TITLE: Final = "title"
    DESCRIPTION: Final = "description"
    DAYS: Final = "work_time"
    ESSENTIAL: Final = ("title", "category_id", "description", "work_time")
    """No gig is without them: a form that lacks one was not read whole and must not be submitted."""
    PRICES: Final = ("price", "min_volume_price")
    """A gig sold whole has the first [CODE], one sold by volume the second [LIVE]."""
    KNOWN: Final = (
        *("draft_id", "lang", "title", "category_id", "description", "instruction", "auditory"),
        *("service_size", "volume", "work_time", "price", "min_volume_price"),
    )


class Bounds:
    """``/api/freeprice/categorygetprices``: steps of a rubric's prices [LIVE], or the bounds themselves."""

    PRICES: Final = "prices"
    STEPS: Final = "priceGradation"
    STEP: Final[Names] = ("price", "value")
    DATA: Final = "data"
    MIN: Final[Names] = ("min", "min_price")
    MAX: Final[Names] = ("max", "max_price")


class OwnFlags:
    """One value of ``userNeedPortfolioList`` [CAP]."""

    PARENT_CATEGORY: Final[Names] = ("parentCategoryId",)
    PORTFOLIO: Final[Names] = ("isUserNeedPortfolio",)


class File:
    """One of ``files[]`` [CAP]."""

    ID: Final[Names] = ("FID",)
    NAME: Final[Names] = ("fname",)
    SIZE: Final[Names] = ("size",)
    URL: Final[Names] = ("url",)


class User:
    """``user{}`` of a project [CAP], of an order [CODE]."""

    ID: Final[Names] = ("USERID", "user_id", "id")
    USERNAME: Final[Names] = ("username", "login")
    FULL_NAME: Final[Names] = ("fullname", "name")
    PICTURE: Final[Names] = ("profilepicture", "pic")


class Orders:
    """Answer of ``get_manage_orders`` [LIVE]."""

    SUCCESS: Final = "success"
    ERROR: Final[Names] = ("error", "message")
    DATA: Final = "data"
    ROWS: Final = "orderListData"
    COUNT: Final = "ordersCount"
    """A number, or a number per filter: both are read."""
    SIZE: Final[Names] = ("page_limit",)
    NOT_SIGNED_IN: Final = "Необходима авторизация"


class OrderItem:
    """One of ``orderListData[]``: the names one working client tries, none certain [CODE]."""

    ID: Final[Names] = ("id", "OID", "orderId", "order_id")
    TITLE: Final[Names] = ("title", "gtitle")
    GIG_TITLE: Final[Names] = ("gtitle",)
    PRICE: Final[Names] = ("price", "fullPrice")
    STATUS: Final[Names] = ("status", "orderStatus", "orderVirtualStatus")
    STATUS_NAME: Final[Names] = ("statusName", "status_name")
    NOTE: Final[Names] = ("note",)
    BUYER: Final[Names] = ("user", "payer")
    CREATED: Final[Names] = ("time_added",)
    DEADLINE: Final[Names] = ("deadline",)
    PROGRESS: Final[Names] = ("progress",)
    STAGES: Final[Names] = ("hasStages", "has_stages")
    CANCEL: Final[Names] = ("isCancelRequest", "is_cancel_request")
    CODES: Final = {
        1: "in_progress",
        2: "arbitration",
        3: "cancelled",
        4: "on_review",
        5: "done",
        6: "payment_due",
    }
    """The mobile surface's codes [SPEC]; the web's are taken to be the same."""
    WORDS: Final = (
        ("провер", "on_review"),
        ("отмен", "cancelled"),
        ("арбитраж", "arbitration"),
        ("спор", "arbitration"),
        ("оплат", "payment_due"),
        ("выполнен", "done"),
        ("заверш", "done"),
        ("работе", "in_progress"),
        ("active", "in_progress"),
        ("delivered", "on_review"),
        ("completed", "done"),
        ("cancel", "cancelled"),
        ("unpaid", "payment_due"),
    )
    """Parts of a status shown in words, should the codes go away."""


class GigGroup:
    """``groups{<group>:{title,count,posts[]}}`` [CAP]."""

    TITLE: Final[Names] = ("title",)
    COUNT: Final[Names] = ("count",)
    POSTS: Final = "posts"
    ALL: Final = "all"
    STATES: Final = (
        ("пауз", "paused"),
        ("останов", "paused"),
        ("pause", "paused"),
        ("suspend", "paused"),
        ("stop", "paused"),
        ("модерац", "moderation"),
        ("moder", "moderation"),
        ("исправл", "needs_fixes"),
        ("доработ", "needs_fixes"),
        ("fix", "needs_fixes"),
        ("отклон", "rejected"),
        ("reject", "rejected"),
        ("чернов", "draft"),
        ("draft", "draft"),
        ("актив", "active"),
        ("active", "active"),
    )
    """Parts of a group's title or key; the ids of groups are not known, only their names [CODE]."""


class GigPaging:
    """``pagingdata{paging{…},total}`` [CAP]."""

    PAGING: Final = "paging"
    CURRENT: Final[Names] = ("cur_page",)
    SIZE: Final[Names] = ("items_per_page",)
    TOTAL: Final[Names] = ("total",)


class Gig:
    """One of ``posts[]`` [CAP]. ``pip`` is an IP address: never read."""

    ID: Final[Names] = ("PID",)
    TITLE: Final[Names] = ("gtitle",)
    CATEGORY: Final[Names] = ("category",)
    PRICE: Final[Names] = ("price",)
    FEE: Final[Names] = ("ctp",)
    SHARE: Final[Names] = ("workerPrice",)
    URL: Final[Names] = ("url",)
    DESCRIPTION: Final[Names] = ("gdesc",)
    DAYS: Final[Names] = ("days",)
    VIEWS: Final[Names] = ("viewcount",)
    ORDERS: Final[Names] = ("order_count",)
    RATING: Final[Names] = ("rating",)
    IMAGE: Final[Names] = ("photo",)
    ADDED: Final[Names] = ("time_added",)
    PAUSE_REASON: Final[Names] = ("pause_reason",)
    RUNNING: Final = "active"


class Chat:
    """One row of ``window.chatList`` [CAP]."""

    USER_ID: Final[Names] = ("user_id", "USERID")
    USERNAME: Final[Names] = ("username",)
    UNREAD: Final[Names] = ("unread_count",)
    MESSAGE: Final[Names] = ("message",)
    TIME: Final[Names] = ("time",)
    LAST: Final = "lastMessage"
    LAST_ID: Final[Names] = ("MID",)
    ONLINE: Final[Names] = ("is_online",)
    ARCHIVED: Final[Names] = ("is_archived",)
    STARRED: Final[Names] = ("is_starred",)
    ALLOWED: Final[Names] = ("allowedDialog",)
    ORDER: Final[Names] = ("has_active_order",)


class Rubric:
    """A node of the tree of rubrics; that it has slugs is [CAP], its names are guesses."""

    ID: Final[Names] = ("CATID", "id", "category_id")
    NAME: Final[Names] = ("name", "title")
    SLUG: Final[Names] = ("seo", "slug")
    CHILDREN: Final[Names] = ("cats", "children", "subcategories", "subs")
    ROOTS: Final[Names] = ("data", "categories", "response")
