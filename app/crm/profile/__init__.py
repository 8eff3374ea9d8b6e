"""Connector to a CRM that a profile describes (``docs/crm-profile.md``)."""

from app.crm.profile.optional import profile_connector
from app.crm.profile.settings import ProfileSettings

__all__ = ["ProfileSettings", "profile_connector"]
