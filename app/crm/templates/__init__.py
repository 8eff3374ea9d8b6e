"""Templates that tenants write: a small, paid-for part of Jinja2, for profiles and for the tenant's mapping alike."""
