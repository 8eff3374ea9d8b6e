"""Which files may go to Kwork: by ending, and by contents that fit it.

No list of Kwork's own is known. This one holds what sellers and buyers exchange: pictures, documents, archives,
text, sound and video. Programs and scripts are refused under any name; inside an archive nobody looks.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.domain.errors import Invalid
from app.domain.file_names import ending

HEAD_BYTES = 4096
"""How much of a file's beginning ``media_type_of`` wants to see (all of it, when it is shorter)."""

UNKNOWN_MEDIA_TYPE = "application/octet-stream"

_BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SCRIPTS = (b"#!", b"<?php", b"@echo off")
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x1b")

Sign = Callable[[bytes], bool]


def _begins(*signs: bytes, at: int = 0) -> Sign:
    return lambda head: any(head.startswith(sign, at) for sign in signs)


def _riff(kind: bytes) -> Sign:
    return lambda head: head.startswith((b"RIFF", b"RF64")) and head[8:12] == kind


def _within(sign: bytes, size: int) -> Sign:
    return lambda head: sign in head[:size]


def _any(*signs: Sign) -> Sign:
    return lambda head: any(sign(head) for sign in signs)


def _is_text(head: bytes) -> bool:
    """UTF-8, UTF-16 with its mark, or one byte a character; no script."""
    if head.lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower().startswith(_SCRIPTS):
        return False
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return "\x00" not in codecs.getincrementaldecoder(encoding)("replace").decode(head)
    return all(byte >= 0x20 or byte in _TEXT_CONTROLS for byte in head)


_ZIP = _begins(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OLE = _begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_OFFICE = _any(_ZIP, _OLE)
"""Word and its kin write either, whatever the ending says; with a password new ones are OLE, too."""
_PDF = _within(b"%PDF-", 1024)
_POSTSCRIPT = _begins(b"%!PS", b"\xc5\xd0\xd3\xc6")
_ISO_MEDIA = _begins(b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", at=4)
_MATROSKA = _begins(b"\x1aE\xdf\xa3")
_OGG = _begins(b"OggS")
_ASF = _begins(b"0&\xb2u\x8ef\xcf\x11")
_MPEG_AUDIO = _any(_begins(b"ID3"), lambda head: len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
_TIFF = _begins(b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


@dataclass(frozen=True, slots=True)
class FileType:
    """What an ending stands for, and how contents of that kind begin."""

    media_type: str
    fits: Sign


_OPEN_XML = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"

FILE_TYPES: Mapping[str, FileType] = {
    # Pictures and layouts
    "jpg": FileType("image/jpeg", _begins(b"\xff\xd8\xff")),
    "jpeg": FileType("image/jpeg", _begins(b"\xff\xd8\xff")),
    "png": FileType("image/png", _begins(b"\x89PNG\r\n\x1a\n")),
    "gif": FileType("image/gif", _begins(b"GIF87a", b"GIF89a")),
    "webp": FileType("image/webp", _riff(b"WEBP")),
    "bmp": FileType("image/bmp", _begins(b"BM")),
    "tif": FileType("image/tiff", _TIFF),
    "tiff": FileType("image/tiff", _TIFF),
    "ico": FileType("image/vnd.microsoft.icon", _begins(b"\x00\x00\x01\x00")),
    "heic": FileType("image/heic", _ISO_MEDIA),
    "avif": FileType("image/avif", _ISO_MEDIA),
    "svg": FileType("image/svg+xml", _is_text),
    "psd": FileType("image/vnd.adobe.photoshop", _begins(b"8BPS")),
    "ai": FileType("application/postscript", _any(_PDF, _POSTSCRIPT)),
    "eps": FileType("application/postscript", _POSTSCRIPT),
    "cdr": FileType("application/vnd.corel-draw", _any(_ZIP, _begins(b"RIFF"))),
    "sketch": FileType("application/vnd.sketch", _ZIP),
    "fig": FileType("application/vnd.figma", _any(_ZIP, _begins(b"fig-"))),
    "xd": FileType("application/vnd.adobe.xd", _ZIP),
    # Documents
    "pdf": FileType("application/pdf", _PDF),
    "doc": FileType("application/msword", _any(_OFFICE, _begins(b"{\\rtf"))),
    "docx": FileType(f"{_OPEN_XML}.wordprocessingml.document", _OFFICE),
    "xls": FileType("application/vnd.ms-excel", _OFFICE),
    "xlsx": FileType(f"{_OPEN_XML}.spreadsheetml.sheet", _OFFICE),
    "ppt": FileType("application/vnd.ms-powerpoint", _OFFICE),
    "pptx": FileType(f"{_OPEN_XML}.presentationml.presentation", _OFFICE),
    "odt": FileType(f"{_OPEN_DOCUMENT}.text", _ZIP),
    "ods": FileType(f"{_OPEN_DOCUMENT}.spreadsheet", _ZIP),
    "odp": FileType(f"{_OPEN_DOCUMENT}.presentation", _ZIP),
    "rtf": FileType("application/rtf", _begins(b"{\\rtf")),
    "epub": FileType("application/epub+zip", _ZIP),
    "fb2": FileType("application/x-fictionbook+xml", _is_text),
    "djvu": FileType("image/vnd.djvu", _begins(b"AT&TFORM")),
    # Text
    "txt": FileType("text/plain", _is_text),
    "md": FileType("text/markdown", _is_text),
    "csv": FileType("text/csv", _is_text),
    "tsv": FileType("text/tab-separated-values", _is_text),
    "json": FileType("application/json", _is_text),
    "xml": FileType("application/xml", _is_text),
    "yml": FileType("application/yaml", _is_text),
    "yaml": FileType("application/yaml", _is_text),
    "log": FileType("text/plain", _is_text),
    "srt": FileType("application/x-subrip", _is_text),
    "vtt": FileType("text/vtt", _is_text),
    # Archives
    "zip": FileType("application/zip", _ZIP),
    "rar": FileType("application/vnd.rar", _begins(b"Rar!\x1a\x07")),
    "7z": FileType("application/x-7z-compressed", _begins(b"7z\xbc\xaf'\x1c")),
    "tar": FileType("application/x-tar", _begins(b"ustar", at=257)),
    "gz": FileType("application/gzip", _begins(b"\x1f\x8b")),
    "tgz": FileType("application/gzip", _begins(b"\x1f\x8b")),
    "bz2": FileType("application/x-bzip2", _begins(b"BZh")),
    "xz": FileType("application/x-xz", _begins(b"\xfd7zXZ\x00")),
    # Sound
    "mp3": FileType("audio/mpeg", _MPEG_AUDIO),
    "wav": FileType("audio/wav", _riff(b"WAVE")),
    "ogg": FileType("audio/ogg", _OGG),
    "oga": FileType("audio/ogg", _OGG),
    "opus": FileType("audio/ogg", _OGG),
    "flac": FileType("audio/flac", _begins(b"fLaC", b"ID3")),
    "m4a": FileType("audio/mp4", _ISO_MEDIA),
    "aac": FileType("audio/aac", _any(_MPEG_AUDIO, _begins(b"ADIF"))),
    "wma": FileType("audio/x-ms-wma", _ASF),
    "aif": FileType("audio/aiff", _begins(b"FORM")),
    "aiff": FileType("audio/aiff", _begins(b"FORM")),
    "mid": FileType("audio/midi", _begins(b"MThd")),
    # Video
    "mp4": FileType("video/mp4", _ISO_MEDIA),
    "m4v": FileType("video/mp4", _ISO_MEDIA),
    "mov": FileType("video/quicktime", _ISO_MEDIA),
    "3gp": FileType("video/3gpp", _ISO_MEDIA),
    "avi": FileType("video/x-msvideo", _riff(b"AVI ")),
    "mkv": FileType("video/matroska", _MATROSKA),
    "webm": FileType("video/webm", _MATROSKA),
    "wmv": FileType("video/x-ms-wmv", _ASF),
    "mpg": FileType("video/mpeg", _begins(b"\x00\x00\x01")),
    "mpeg": FileType("video/mpeg", _begins(b"\x00\x00\x01")),
}


def media_type_of(name: str, head: bytes, *, field: str) -> str:
    """The media type of a file that begins with ``head`` (``HEAD_BYTES`` of it).

    Raises ``Invalid`` (``file_type_not_allowed``) for an ending off the list, and for contents that do not fit it.
    """
    known = FILE_TYPES.get(ending(name))
    if known is None:
        raise Invalid(
            f"Файл «{name}» такого вида отправить нельзя. Подойдут картинки, документы, архивы, тексты, звук и "
            "видео; программы и скрипты упакуйте в архив.",
            field=field,
            code="file_type_not_allowed",
        )
    if not known.fits(head):
        raise Invalid(
            f"Содержимое файла «{name}» не похоже на .{ending(name)}. Проверьте файл и его расширение.",
            field=field,
            code="file_type_not_allowed",
        )
    return known.media_type


def media_type_by_name(name: str) -> str:
    """By the ending alone, for a file whose contents come from elsewhere; unknown ones are plain bytes."""
    known = FILE_TYPES.get(ending(name))
    return known.media_type if known else UNKNOWN_MEDIA_TYPE
