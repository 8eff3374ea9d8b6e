"""Connector to a CRM that a profile describes (``docs/crm-profile.md``)."""

from app.crm.profile.optional import profile_connector
from app.crm.profile.settings import ProfileSettings, named_by, profile_in

__all__ = ["ProfileSettings", "named_by", "profile_connector", "profile_in"]
