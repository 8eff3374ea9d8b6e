"""A demo CRM that implements `docs/crm-contract.yaml`, and by choice its variants in the wild."""
