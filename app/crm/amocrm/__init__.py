"""Connector to amoCRM (Kommo), API v4.

Facts carry their source: [doc] amocrm.ru/developers and developers.kommo.com, [issue] github.com/amocrm/amocrm-api-php
(issues answered by the vendor), [mem] not confirmed. Nothing was tried on a live account.
"""

from app.crm.amocrm.connector import AmoConnector
from app.crm.amocrm.settings import AmoSettings

__all__ = ["AmoConnector", "AmoSettings"]
