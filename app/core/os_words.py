"""Why the operating system refused, in Russian: for sentences that a person reads."""

from __future__ import annotations

import errno
import socket

_WORDS = {
    errno.EACCES: "нет прав",
    errno.EPERM: "нет прав",
    errno.EROFS: "здесь можно только читать",
    errno.ENOSPC: "нет места на диске",
    errno.EDQUOT: "превышена квота диска",
    errno.EFBIG: "файл больше, чем здесь разрешено",
    errno.EEXIST: "это файл, а не папка",
    errno.ENOTDIR: "это файл, а не папка",
    errno.EISDIR: "это папка, а не файл",
    errno.ENOENT: "такого пути нет",
    errno.ENAMETOOLONG: "слишком длинное имя",
    errno.EADDRINUSE: "он занят другой программой",
    errno.EADDRNOTAVAIL: "у этой машины нет такого адреса",
    errno.ECONNREFUSED: "там никто не отвечает",
    errno.EHOSTUNREACH: "машина недоступна",
    errno.ENETUNREACH: "сеть недоступна",
    errno.ETIMEDOUT: "ответа не дождались",
}


def why(error: OSError) -> str:
    """A few words; the system's own where there are none of ours."""
    if isinstance(error, socket.gaierror):
        return "такое имя не найдено"
    if isinstance(error, TimeoutError) and error.errno is None:
        return _WORDS[errno.ETIMEDOUT]
    return _WORDS.get(error.errno or 0) or error.strerror or type(error).__name__
