"""Errors in the vendor's words (apidocs.bitrix24.ru: error-codes, and each method's page)."""


class Refused(Exception):
    """`{"error", "error_description"}` with an HTTP status."""

    def __init__(self, status: int, code: str, words: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.words = status, code, words

    def body(self) -> dict[str, str]:
        return {"error": self.code, "error_description": self.words}


def bad_value(field: str) -> Refused:
    return Refused(400, "CRM_FIELD_ERROR_VALUE_NOT_VALID", f'Неверное значение поля "{field}"')


def bad_argument(words: str) -> Refused:
    return Refused(400, "INVALID_ARG_VALUE", words)


NO_ITEM = Refused(400, "NOT_FOUND", "Элемент не найден")
NO_TYPE = Refused(400, "NOT_FOUND", "Смарт-процесс не найден")
