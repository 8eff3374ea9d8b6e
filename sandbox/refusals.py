"""Kwork's ways to say no, to be switched on by name: `fault("asked", name="lesson", path="/api/offer/createoffer")`.

The sentences are those FACTS A5 and B2 name; whatever stands around the named words is invented.
"""

from sandbox.faults import RequestFaults

TEXTS = {
    "connects_spent": "Вы исчерпали лимит коннектов. Недостаточно коннектов для предложения",
    "connects_refill": "Коннекты закончились. Коннекты будут пополнены 1 декабря",
    "worker_chosen": "Исполнитель уже выбран",
    "project_closed": "К сожалению, проект закрыт",
    "project_archived": "Проект находится в архиве",
    "already_offered": "Вы уже отправили предложение",
    "lesson": "Чтобы отправлять предложения, сначала пройдите урок",
    "portfolio": "Чтобы предложить услугу, добавьте портфолио в этой рубрике",
    "gig": "Чтобы предложить услугу, создайте кворк в этой рубрике",
    "not_confirmed": "Продавец не подтверждён",
    "stop_words": "В тексте есть стоп-слова: уберите контактные данные",
    "dialog_forbidden": "Переписка запрещена",
    "unknown_error": "Неизвестная ошибка",
    "robot": "Подтвердите, что вы не робот",
}


def asked_for(faults: RequestFaults) -> str | None:
    """The sentence that is switched on for this request, if any."""
    return next((text for name, text in TEXTS.items() if faults.take("asked", name=name)), None)
