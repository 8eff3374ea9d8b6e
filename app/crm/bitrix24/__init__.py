"""Connector to Bitrix24 over its REST, by an incoming webhook.

Sources of the facts in this folder: [doc] the vendor's documentation (https://apidocs.bitrix24.ru, kept at
github.com/bitrix-tools/b24-rest-docs), with the page; [code] the vendor's published PHP; [mem] common knowledge,
not confirmed. Nothing was tried on a live portal.
"""

from app.crm.bitrix24.connector import Bitrix24Connector
from app.crm.bitrix24.settings import Bitrix24Settings

__all__ = ["Bitrix24Connector", "Bitrix24Settings"]
