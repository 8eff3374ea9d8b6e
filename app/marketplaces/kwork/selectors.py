"""Every selector and visible word of Kwork's pages, in one table: when Kwork changes, mend it here.

Marks: [CAP] seen in a raw capture, [LIVE] watched, [CODE] from an open client, unmarked ones are ours.
JSON names stand in ``web/fields.py``, addresses in ``web/paths.py``. See docs/adapting-the-parser.md.
"""

from __future__ import annotations

from typing import Final


class LoginForm:
    """The Vue form on ``/login`` [CODE]."""

    LOGIN: Final = 'input[placeholder="Электронная почта или логин"]'
    PASSWORD: Final = 'input[placeholder="Пароль"]'  # noqa: S105 - a selector
    SUBMIT_TEXT: Final = "Войти"
    ERRORS: Final = (".k-input__error", ".error-message")
    TITLE_WORDS: Final = ("вход", "войти", "авторизация")
    """Words in the title of a login page whose form no script has drawn yet."""


class Header:
    """The head of every page of somebody signed in."""

    OWN_PROFILE: Final = "header a[href*='/user/']"
    """The first such link leads to one's own page [unverified]."""


class Captcha:
    """A challenge that is *shown*. The scripts' mere presence is none [LIVE]."""

    WIDGETS: Final = ".smart-captcha, #captcha-container, .g-recaptcha, iframe[src*='smartcaptcha']"
    SENTENCES: Final = ("Подтвердите, что вы не робот", "подтвердите, что запросы отправляли вы")
    TITLE_WORDS: Final = ("проверка", "робот", "captcha", "капча")


class Wall:
    """Pages that stand in for an answer."""

    MAINTENANCE_TITLE: Final = "Kwork.ru | Технические работы"
    """At 200 [LIVE]. Announced works stand in every page's config (``technicalWorksText``): no sign."""
    MAINTENANCE_WORDS: Final = "Технические работы"
    """In a title, on a small page without Kwork's variables."""
    BLOCK_SENTENCE: Final = "заблокирован доступ к сайту"
    BLOCK_ADDRESS: Final = "/not_access.php"
    QRATOR_WORDS: Final = ("qrator", "автоматическ", "automated script", "высокая нагрузка", "high load")
    """At least two of them, on a small page without Kwork's variables [LIVE]."""


class ProjectCard:
    """A rendered card of ``/projects`` [CAP]."""

    CARD: Final = "div.want-card.want-card--list"
    TITLE_LINK: Final = ".wants-card__header-title a"
    TEXTS: Final = ".wants-card__description-text"
    """Holds a cut and a full copy: the last inner div is the full one."""
    PRICE: Final = ".wants-card__price .d-inline"
    HIGHER_PRICE: Final = ".wants-card__description-higher-price"
    BUYER: Final = ".want-payer-statistic a"
    BUYER_BOX: Final = ".want-payer-statistic"
    BUYER_PROJECTS: Final = r"Размещено проектов на бирже:\s*(\d+)"
    BUYER_HIRED: Final = r"Нанято:\s*(\d+)\s*%"
    OFFERS: Final = r"Предложений:\s*(\d+)"


class OfferPage:
    """``/new_offer?project=<id>``, the form of an offer."""

    MARKS: Final = (
        "#offer-custom-price",
        'textarea[name="description"]',
        ".trumbowyg-editor.js-stopwords-check",
        'input[name="draftKey"]',
    )
    """Any of them: the form is there [CODE]."""
    DRAFT_KEY: Final = 'input[name="draftKey"]'
    DRAFT_KEY_IN_SOURCE: Final = r"""draftKey["']?\s*[:=]\s*["']([A-Za-z0-9_-]{4,64})["']"""
    CONNECTS: Final = r"Осталось\s+(\d+)\s+из\s+(\d+)"
    """What people read [LIVE]."""


class OfferFill:
    """What a person touches on the offer form; see ``OfferPage``."""

    TEXT: Final = (
        'div.trumbowyg-editor.js-stopwords-check, .trumbowyg-editor[placeholder*="решать задачу"], '
        'textarea[name="description"]'
    )
    """The first that is seen [CODE]."""
    PRICE: Final = "input#offer-custom-price"
    """[CODE]"""
    TITLE: Final = '[contenteditable][placeholder="Введите название заказа"]'
    """Two, for wide and narrow screens: the one that is seen [CODE]."""
    DURATION: Final = ".v-select.duration-select"
    DURATION_OPTION: Final = ".vs__dropdown-option"
    """[CODE]"""
    DURATION_TEXT: Final = r"^\s*{days}\s*(д|$)"
    """«7 дней», «7 дн.» [unverified]."""
    WHOLE: Final = ".offer-payment-type__item"
    """The first pays for the whole at once [CODE / unverified]."""
    SUBMIT: Final = "Предложить"
    """Name of the button [CODE]."""
    FILES: Final = 'input[type="file"]'
    """[unverified]"""


class MessageFill:
    """What a person touches on the page of a dialog."""

    FORM: Final = "form#new_message"
    """[CAP]"""
    TEXT: Final = 'textarea[name="message_body"]'
    """[CODE]"""
    SUBMIT: Final = "Отправить"
    """Name of the button [unverified]."""
    FILES: Final = 'input[type="file"]'
    """[unverified]"""


class HandInFill:
    """What a person touches on an order's page to hand it in. Nobody has published that page: all of it are
    guesses from what sellers tell each other [unverified].
    """

    OPEN: Final = r"^\s*сдать (выполненную )?работу\s*$"
    """Name of the button that opens the form, in any case."""
    SUBMIT: Final = r"^\s*(отправить на проверку|сдать (выполненную )?работу|отправить)\s*$"
    """Name of the button in the form."""
    FORM: Final = "form, [role=dialog], .popup, .modal"
    """Where the button to send stands once the form is open: the last such place that is seen and has it."""
    STAGE: Final = 'input[type="checkbox"][value="{id}"]'
    FILES: Final = 'input[type="file"]'
    DONE_WORDS: Final = "на проверке"
    """In lower case, on the order's page after handing in."""


class FormComplaint:
    """What a form says when it does not take what was typed."""

    PLACES: Final = '.k-input__error, .error-message, [role="alert"], .form-error'
    """The first two [CODE], the others [unverified]."""


class GigFormPage:
    """``/edit?id=<gig>``, the form of a gig."""

    FORM: Final = 'form.js-kwork-save-form, form.kwork-save-form, form[action*="save_kwork"]'
    """The first [LIVE]; it has no ``action`` of its own."""
    FIELDS: Final = "input, textarea, select"


class Content:
    """Where a page speaks for itself, without its head and menus."""

    PLACES: Final = ("#app", "main", "body")
    NOISE: Final = ("script", "style", "header", "footer", "nav")


class UserPage:
    """``/user/<name>`` (2025, unverified since) [CODE]."""

    USERNAME: Final = "h1.user-username, .user-username"
    FULL_NAME: Final = ".user-fullname"
    PICTURE: Final = ".profile-avatar__image img"
    LOCATION: Final = ".user-info__location"
    PROFESSION: Final = ".user-profession"
    ABOUT: Final = ".user-about-me"
    SKILL: Final = ".user-skills__item"
    ID_ATTRIBUTES: Final = ("data-user-id", "data-userid", "data-id")


class OrderPage:
    """``/track?id=<N>`` [CODE]."""

    TITLE: Final = ".track-page__header-h1 div, .track-page__header-h1"
    PRICE: Final = ".order-info__price--current"
    TIME: Final = ".order-info__time--current"
    ENTRY: Final = ".track--item__main"
    ENTRY_LOGIN: Final = ".track--item__information-login"
    ENTRY_TEXT: Final = ".js-track-text-message"
    FILE: Final = ".file-list__item a[download]"


class OrderRow:
    """A row of ``/manage_orders`` as its script draws it (2025, unverified since) [CODE]."""

    SHELL_MARKS: Final = ("get_manage_orders", "m-order-table", "manage-orders")
    ROW: Final = "table.m-order-table tbody tr"
    TITLE: Final = "a.order-item__title-wrap, .order-item__title-link"
    BUYER: Final = "a.order-item__user-link"
    PRICE: Final = ".order-list-table__price"
    STATUS: Final = ".order-item__status-name"


class DialogPage:
    """``/inbox/<name>`` as its script draws it. No capture of the drawn page is public: the attributes are
    guesses [unverified], the classes are those of the order page [CODE].
    """

    MESSAGE: Final = ".chat__messages .track--item"
    TEXT: Final = ".js-track-text-message"
    FILE: Final = ".file-list__item a[download]"
    ID: Final = "data-message-id"
    FROM: Final = "data-from-id"
    TIME: Final = "data-time"
    """Unix seconds."""
