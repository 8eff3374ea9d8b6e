"""Names of uploads: whatever a stranger calls a file, the name is safe for disks, headers and people's eyes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.file_names import LONGEST_NAME_BYTES, ending, safe_name


@pytest.mark.parametrize(
    "name", ["Макет главной.pdf", "отчёт (2).docx", "a.tar.gz", "x", "日本語.png", "a_b-c.v2.zip"]
)
def test_a_name_that_is_safe_stays_as_it_is(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("..\\..\\windows\\system.txt", "system.txt"),
        ("/etc/cron.d/job.txt", "job.txt"),
        ("C:\\Users\\me\\фото.png", "фото.png"),
        ("C:фото.png", "C_фото.png"),
        ("..", "file"),
        ("", "file"),
        (" . . ", "file"),
        ("folder/", "file"),
        (".htaccess", "htaccess"),
        ("...a.txt", "a.txt"),
        ("a.txt. . .", "a.txt"),
        ("a\x00b\x1f\x7f\x85.txt", "ab .txt"),
        ("a\r\nSet-Cookie: x=1.txt", "a Set-Cookie_ x=1.txt"),
        ("фото\u202egnp.exe", "фотоgnp.exe"),
        ("zero\u200bwidth\ufeff.txt", "zerowidth.txt"),
        ("half\ud800.txt", "half.txt"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("Con .txt", "_Con .txt"),
        ("LPT9.tar.gz", "_LPT9.tar.gz"),
        ("com¹.txt", "_com¹.txt"),
        ("console.txt", "console.txt"),
        ("й.txt", "й.txt"),
    ],
)
def test_what_is_not_safe_is_made_so(given: str, made: str) -> None:
    assert safe_name(given) == made


def test_a_long_name_keeps_its_ending_and_no_half_characters() -> None:
    made = safe_name("ж" * 300 + ".pdf")
    assert made == "ж" * 98 + ".pdf"
    assert len(safe_name("ж" * 300).encode()) == LONGEST_NAME_BYTES
    assert len(safe_name("a" + "." + "б" * 300).encode()) <= LONGEST_NAME_BYTES
    assert len(safe_name("con." + "x" * 300).encode()) <= LONGEST_NAME_BYTES


@given(st.text(max_size=400))
@example("ё" * 100 + "." + "e\u0301" * 30)
@example("con" + " " * 300 + ".txt")
def test_every_name_becomes_safe_and_then_stays_so(name: str) -> None:
    made = safe_name(name)
    assert 1 <= len(made.encode()) <= LONGEST_NAME_BYTES
    assert not set(made) & set('/\\<>:"|?*\x00\n\r')
    assert all(unicodedata.category(one) not in {"Cc", "Cf", "Cs"} for one in made)
    assert made == made.strip(" .") == unicodedata.normalize("NFC", made)
    assert safe_name(made) == made


@pytest.mark.parametrize(
    ("name", "end"), [("a.PDF", "pdf"), ("a.tar.gz", "gz"), ("readme", ""), (".profile", ""), ("a.", "")]
)
def test_the_ending_is_what_stands_behind_the_last_dot(name: str, end: str) -> None:
    assert ending(name) == end
