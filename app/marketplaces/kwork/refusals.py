"""Kwork's refusals, in one table for both surfaces: what it says, what that means for us, how surely.

The numbers of most refusals are not known, so texts decide (FACTS B2). Marks say how surely a row is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.errors import (
    AuthExpired,
    Blocked,
    Challenge,
    ChallengeRequired,
    LayoutChanged,
    Maintenance,
    Rejected,
    VendorError,
)

Maker = Callable[[str, str], VendorError]


class WrongPassword(Rejected):
    """Kwork does not accept the login and password: a person must correct them."""

    code = "kwork_wrong_password"
    needs_person = True


class CaptchaRequired(ChallengeRequired):
    """A person must solve the captcha. ``pass_token`` goes along with the solution, should Kwork have given one."""

    code = "kwork_captcha"
    pass_token: str | None = None


def _captcha(detail: str, code: str) -> CaptchaRequired:
    return CaptchaRequired(detail, challenge=Challenge.CAPTCHA, code=code)


def _challenge(challenge: Challenge) -> Maker:
    return lambda detail, code: ChallengeRequired(detail, challenge=challenge, code=code)


def _plain(family: type[VendorError]) -> Maker:
    return lambda detail, code: family(detail, code=code)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way in which Kwork says no. ``fragments`` are lower-case pieces of its text, ``ё`` as ``е``."""

    make: Maker
    code: str
    sentence: str
    sure: str
    fragments: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()

    def error(self) -> VendorError:
        return self.make(self.sentence, self.code)


_OF_ANY_CALL = (
    Refusal(
        _captcha,
        "kwork_captcha",
        "Kwork просит подтвердить, что это не робот: откройте https://kwork.ru/captcha_only и пройдите проверку.",
        "LIVE/SPEC",
        ("вы не робот", "капч", "captcha"),
        frozenset({118}),
    ),
    Refusal(
        _challenge(Challenge.PHONE_DIGITS),
        "kwork_phone_digits",
        "Kwork просит последние 4 цифры номера телефона, указанного в профиле.",
        "LIVE",
        ("последние 4 цифры", "последние четыре цифры"),
    ),
    Refusal(
        _challenge(Challenge.QUIZ),
        "kwork_quiz",
        "Kwork просит пройти опрос о защите от мошенников: пройдите его на сайте или в приложении.",
        "SPEC",
        ("антифишинг", "мошенник"),
        frozenset({116}),
    ),
    Refusal(
        _plain(WrongPassword),
        "kwork_wrong_password",
        "Kwork не принял логин или пароль: исправьте их в настройках аккаунта.",
        "LIVE",
        ("логин или пароль указаны неверно", "неверный логин или пароль", "неверный пароль"),
    ),
    Refusal(
        _plain(AuthExpired),
        "kwork_session_lost",
        "Сессия Kwork закончилась: нужно войти заново.",
        "LIVE",
        ("необходима авторизация", "необходимо авторизоваться"),
    ),
    Refusal(
        _plain(Blocked),
        "kwork_blocked",
        "Kwork закрыл доступ этому адресу или аккаунту: все запросы остановлены.",
        "LIVE",
        ("заблокирован доступ", "аккаунт заблокирован", "доступ заблокирован"),
    ),
    Refusal(
        _plain(Maintenance),
        "kwork_maintenance",
        "На Kwork идут технические работы.",
        "LIVE",
        ("технические работы", "технических работ"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_dialog_forbidden",
        "Kwork запрещает переписку с этим пользователем.",
        "LIVE",
        ("переписка запрещена",),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_bad_values",
        "Kwork не принял значения: такой записи нет, или она не видна этому аккаунту.",
        "LIVE",
        ("некорректные значения параметров",),
    ),
    Refusal(
        lambda detail, code: LayoutChanged(detail, path="parameters", code=code),
        "kwork_parameters_changed",
        "Kwork ждёт других параметров: изменился его API.",
        "LIVE/SPEC",
        ("недостаточно параметров",),
        frozenset({100}),
    ),
    Refusal(
        lambda detail, code: LayoutChanged(detail, path="method", code=code),
        "kwork_method_gone",
        "Такого метода у Kwork больше нет: изменился его API.",
        "LIVE",
        ("метод api не найден", "разрешен только http метод"),
        frozenset({404}),
    ),
)

_OF_WRITES = (  # what Kwork says to an offer, a message, a gig
    Refusal(
        _plain(Rejected),
        "kwork_csrf_refused",
        "Kwork не принял ключ страницы, ничего не отправлено: повторите действие.",
        "CODE",
        ("ошибка безопасности", "csrf", "обновите страницу и попробуйте"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_connects_refill",
        "Коннекты закончились: дождитесь дня, когда Kwork их пополнит.",
        "CODE",
        ("коннекты будут пополнены",),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_connects_spent",
        "Коннектов не хватает: отклик не отправлен.",
        "CODE",
        ("исчерпали лимит коннектов", "недостаточно коннектов", "лимит коннектов исчерпан"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_worker_chosen",
        "Покупатель уже выбрал исполнителя: откликнуться нельзя.",
        "CODE",
        ("исполнитель уже выбран",),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_project_archived",
        "Проект в архиве: откликнуться нельзя.",
        "CODE",
        ("проект в архиве", "проект находится в архиве", "проект перемещен в архив"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_project_closed",
        "Проект закрыт: откликнуться нельзя.",
        "CODE",
        ("проект закрыт", "проект уже закрыт", "проект остановлен"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_already_offered",
        "На этот проект уже есть ваш отклик.",
        "CLAIM",
        ("уже отправили предложение", "уже предложили", "уже оставили предложение", "уже откликнулись"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_lesson_required",
        "Kwork просит сначала пройти урок для продавцов: пройдите его на сайте и повторите.",
        "CODE",
        ("пройдите урок", "пройти урок"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_portfolio_required",
        "В этой рубрике нужно портфолио: добавьте работу в профиль на Kwork и повторите.",
        "CODE",
        ("добавьте портфолио", "загрузите портфолио", "необходимо портфолио", "нужно портфолио"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_gig_required",
        "В этой рубрике нужен свой кворк: создайте его на Kwork и повторите.",
        "CODE",
        ("создайте кворк", "добавьте кворк", "необходим кворк", "нужен кворк"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_seller_not_confirmed",
        "Продавец не подтверждён на Kwork: пройдите подтверждение на сайте.",
        "CODE",
        ("продавец не подтвержден", "не подтвержденный продавец", "подтвердите свой аккаунт"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_stop_words",
        "Kwork нашёл в тексте запрещённые слова или контакты: исправьте текст.",
        "CLAIM",
        ("стоп-слов", "стоп слов", "запрещенные слова", "недопустимые слова"),
    ),
)

REFUSALS = (*_OF_ANY_CALL, *_OF_WRITES)

FORM_CODES = {  # ``code`` in the answer of ``/save_kwork`` [LIVE]
    201: Refusal(
        _plain(Rejected),
        "kwork_phone_check",
        "Kwork просит подтвердить телефон: подтвердите его на сайте и сохраните кворк ещё раз.",
        "LIVE",
    ),
    298: Refusal(
        _plain(Rejected),
        "kwork_receipts_required",
        "Kwork просит загрузить чеки: загрузите их на сайте и сохраните кворк ещё раз.",
        "LIVE",
    ),
}
FORM_INVALID_CODE = "kwork_form_invalid"
UNKNOWN_REFUSAL_CODE = "kwork_refused"

NO_VERDICT = ("неизвестная ошибка", "внутренняя ошибка", "internal error")
"""Texts of a refusal that tell nothing: after a call that cannot be taken back they leave it open [LIVE]."""
