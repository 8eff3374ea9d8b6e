"""A stand-in for a Bitrix24 portal's REST: what its documentation says, and the traps that follow from it."""
