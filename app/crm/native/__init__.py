"""Connector to a CRM that implements ``docs/crm-contract.yaml`` or one of its variants."""

from app.crm.native.connector import NativeConnector
from app.crm.native.settings import NativeSettings

__all__ = ["NativeConnector", "NativeSettings"]
