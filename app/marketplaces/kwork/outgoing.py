"""Limits of what Kwork takes, for both surfaces; what breaks one is ``Invalid`` before anything leaves."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.errors import Invalid

LONGEST_MESSAGE = 4000  # characters [CODE]
MOST_FILES = 10  # of a message [CAP]
BIGGEST_FILE = 100 * 1024 * 1024  # bytes [CAP]
MOST_ORDER_FILES = 25  # of a hand-in (``fileMaxCount``) [CAP]
MOST_STAGES = 10  # [CAP]
REPORT_LENGTH = range(2, 351)  # characters of a report's comment [SPEC]


def whole_roubles(kopecks: int, field: str) -> int:
    """Kwork takes whole roubles, above zero."""
    roubles, rest = divmod(kopecks, 100)
    if rest or roubles <= 0:
        raise Invalid("Kwork принимает только целые рубли, больше нуля.", field=field)
    return roubles


def message_text(text: str, files: Sequence[int]) -> str:
    """A message's text as it is sent; it may be empty only beside files."""
    if not text.strip() and not files:
        raise Invalid("Сообщение пустое: нужен текст или файл.", field="message")
    if len(text) > LONGEST_MESSAGE:
        raise Invalid(f"Сообщение длиннее {LONGEST_MESSAGE} символов.", field="message")
    if len(files) > MOST_FILES:
        raise Invalid(f"К сообщению можно приложить не больше {MOST_FILES} файлов.", field="files")
    return text


def needed(text: str, field: str, sentence: str) -> str:
    """A text that must say something."""
    if not text.strip():
        raise Invalid(sentence, field=field)
    return text
