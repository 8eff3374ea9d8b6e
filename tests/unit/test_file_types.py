"""What may go to Kwork: the ending and the contents must both be on the list, and fit each other."""

from __future__ import annotations

import gzip
import io
import tarfile
import wave
import zipfile

import pytest

from app.domain.errors import Invalid
from app.domain.file_types import FILE_TYPES, HEAD_BYTES, media_type_by_name, media_type_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
ELF = b"\x7fELF\x02\x01\x01" + b"\x00" * 40
EXE = b"MZ\x90\x00\x03\x00\x00\x00" + b"\x00" * 100


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("run.exe", EXE)
    return target.getvalue()


def tarred() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return target.getvalue()


def sounding() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(b"\x00\x01" * 80)
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "head", "media_type"),
    [
        ("a.png", PNG, "image/png"),
        ("A.JPEG", b"\xff\xd8\xff\xe0 JFIF", "image/jpeg"),
        ("логотип.svg", b'<svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml"),
        ("a.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("a.ai", b"%PDF-1.5\n", "application/postscript"),
        (
            "a.docx",
            zipped(),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 20, "application/msword"),
        ("a.zip", zipped(), "application/zip"),
        ("пустой.zip", b"PK\x05\x06" + b"\x00" * 18, "application/zip"),
        ("a.tar", tarred(), "application/x-tar"),
        ("a.tar.gz", gzip.compress(tarred(), mtime=0), "application/gzip"),
        ("a.wav", sounding(), "audio/wav"),
        ("a.mp3", b"ID3\x04" + b"\x00" * 20, "audio/mpeg"),
        ("a.mp3", b"\xff\xfb\x90\x00", "audio/mpeg"),
        ("a.mp4", b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        ("a.txt", "Привет".encode(), "text/plain"),
        ("a.txt", "Привет".encode("cp1251"), "text/plain"),
        ("a.txt", "Привет".encode("utf-16"), "text/plain"),
        ("a.csv", "\ufeffИмя;Цена\r\n".encode(), "text/csv"),
    ],
)
def test_a_file_whose_contents_fit_its_ending_is_taken(name: str, head: bytes, media_type: str) -> None:
    assert media_type_of(name, head[:HEAD_BYTES], field="f") == media_type


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.exe", EXE),
        ("a.sh", b"#!/bin/sh\n"),
        ("a.php", b"<?php"),
        ("a.js", b"alert(1)"),
        ("a.html", b"<html>"),
        ("a.bat", b"@echo off"),
        ("a.jar", zipped()),
        ("a.apk", zipped()),
        ("a.lnk", b"L\x00\x00\x00"),
        ("readme", b"text"),
        ("договор.pdf.exe", b"%PDF-1.7"),
        ("a.png.php", PNG),
    ],
)
def test_an_ending_off_the_list_is_refused_whatever_the_contents(name: str, head: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        media_type_of(name, head, field="body.files.item0")
    assert (refused.value.code, refused.value.field) == ("file_type_not_allowed", "body.files.item0")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.pdf", EXE),
        ("a.png", b"%PDF-1.7"),
        ("a.txt", EXE),
        ("a.txt", ELF),
        ("a.txt", b"#!/usr/bin/env python\n"),
        ("a.txt", b"\xef\xbb\xbf  <?PHP system(1);"),
        ("a.csv", b"@ECHO OFF\r\n"),
        ("a.svg", PNG),
        ("a.zip", b"Rar!\x1a\x07\x00"),
        ("a.docx", b"plain text"),
        ("a.mp4", b"\x00\x00\x00\x20webm"),
        ("a.txt", "\ufeffa\x00b".encode("utf-16-le")),
    ],
)
def test_contents_that_do_not_fit_the_ending_are_refused(name: str, head: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        media_type_of(name, head, field="f")
    assert refused.value.code == "file_type_not_allowed"


@pytest.mark.parametrize(
    "program", [EXE, ELF, b"\xca\xfe\xba\xbe\x00\x00\x004", b"\xcf\xfa\xed\xfe", b"\x00asm\x01"]
)
def test_no_ending_lets_a_program_pass(program: bytes) -> None:
    for name in FILE_TYPES:
        with pytest.raises(Invalid):
            media_type_of(f"a.{name}", program + b"\x00" * 300, field="f")


def test_a_type_by_name_alone_is_plain_bytes_for_what_is_not_known() -> None:
    assert media_type_by_name("a.PNG") == "image/png"
    assert media_type_by_name("a.html") == media_type_by_name("a") == "application/octet-stream"
