"""A stand per kind of CRM for the contract suite. A new kind adds its class to `STANDS`."""

from tests.crm_stands.amocrm import AmoStand
from tests.crm_stands.bitrix24 import Bitrix24Stand
from tests.crm_stands.interface import Call, CrmStand, StoredContact, StoredLead
from tests.crm_stands.native import NativeStand
from tests.crm_stands.profile import ProfileStand

STANDS: dict[str, type[CrmStand]] = {
    stand.kind: stand for stand in (AmoStand, Bitrix24Stand, NativeStand, ProfileStand)
}

__all__ = ["STANDS", "Call", "CrmStand", "StoredContact", "StoredLead"]
