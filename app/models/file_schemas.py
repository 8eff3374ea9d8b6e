"""Files as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from app.models.schemas import Line


class StoredFileOut(BaseModel):
    """A file that waits to be sent to Kwork."""

    id: UUID = Field(description="Name it in `files` of an offer, a message or a hand-in.")
    name: str = Field(description="Made safe; Kwork gets the file under it.", examples=["Макет главной.pdf"])
    size: int = Field(description="Bytes.", examples=[482133])
    media_type: str = Field(examples=["application/pdf"])
    sha256: str = Field(
        description="Hexadecimal.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    purpose: str | None = Field(examples=["hand-in of order 5512345"])
    uploaded_by: str = Field(examples=["manager@example.com"])
    created_at: datetime
    expires_at: datetime = Field(description="Deleted after this, unless it gets used before.")
    used_by: UUID | None = Field(description="The write that needs it and has not been settled.")


class UploadedOut(BaseModel):
    """The files of one upload, in the order they came in."""

    items: list[StoredFileOut]


class UploadQuery(BaseModel):
    """What is said of an upload beside its body."""

    name: Line | None = Field(
        None,
        max_length=1000,
        description="The file's name, when the body is the file itself.",
        examples=["Макет главной.pdf"],
    )
    purpose: Line | None = Field(None, max_length=100, description="What it is for, in free words.")


class AttachmentQuery(BaseModel):
    """Whose session fetches the file."""

    account_id: UUID | None = Field(
        None,
        description="For a project, or where a dialog's partner is named instead of it; orders know their account.",
    )
