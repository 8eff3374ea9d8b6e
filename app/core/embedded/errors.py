"""Errors of the embedded servers. Their messages are shown to a person as they are, so they are in Russian."""


class EmbeddedServerError(Exception):
    """An embedded server cannot run; the message says what happened and what to do."""


class DataDirBusyError(EmbeddedServerError):
    """Another running service holds this data folder."""
