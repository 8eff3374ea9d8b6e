"""Argon2id password hashes, computed in threads so that the event loop goes on."""

from __future__ import annotations

import asyncio

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

MAX_PASSWORD_CHARACTERS = 1024


class Passwords:
    """Hashes and verifies; at most two at a time, as each takes a core and 64 MB for some 50 ms."""

    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        """``hasher``: a cheaper one, for tests."""
        self._hasher = PasswordHash((hasher or Argon2Hasher(),))
        self._turns = asyncio.Semaphore(2)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """A salted hash to store."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Compares; without a hash it works as long and answers False, so that unknown users do not show."""
        if len(password) > MAX_PASSWORD_CHARACTERS:
            return False
        decoy = await self._decoy_hash()  # made for the first user, known or not
        matches = await self._compare(password, decoy if hashed is None else hashed)
        return matches and hashed is not None

    async def _compare(self, password: str, hashed: str) -> bool:
        async with self._turns:
            try:
                return await asyncio.to_thread(self._hasher.verify, password, hashed)
            except UnknownHashError:
                return False

    async def _decoy_hash(self) -> str:
        if self._decoy is None:
            self._decoy = await self.hash("a password nobody has")
        return self._decoy
