"""Kwork Service: accounts of the marketplace Kwork.ru in a multi-tenant CRM."""

VERSION = "0.1.0"
