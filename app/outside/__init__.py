"""Talking to addresses that a tenant chose: only public ones, unless the operator of the service allows others."""
