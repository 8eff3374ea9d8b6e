"""Whole pages that stand in for an answer: maintenance, blocks, errors."""

MAINTENANCE = """<!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><title>Kwork.ru | Технические работы</title></head>
<body class="technical-works"><div class="tw-page"><h1>Технические работы</h1>
<p>Сайт временно недоступен. Мы уже работаем над этим и скоро вернёмся.</p></div></body></html>
"""

QRATOR = (
    """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>403 Forbidden</title>
<style>body{font:16px/1.5 sans-serif;margin:10% auto;max-width:640px}h1{font-size:22px}</style></head>
<body><h1>HTTP 403</h1>
<p>Сейчас на сайт приходится высокая нагрузка, или ваш запрос похож на работу автоматического скрипта.
Попробуйте открыть страницу позднее.</p>
<p>The site is under high load at the moment, or your request looks like one of an automated script.
Please try again later.</p>
"""
    + "".join(f"<!-- {'-' * 64} -->\n" for _ in range(13))
    + "</body></html>\n"
)

BLOCKED = """<!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><title>Доступ ограничен</title>
<link rel="canonical" href="https://kwork.ru/not_access.php"></head>
<body><h1>Вам заблокирован доступ к сайту</h1>
<p>Если вы считаете, что это ошибка, напишите в службу поддержки.</p></body></html>
"""

ERROR_500 = """<html>
<head><title>500 Internal Server Error</title></head>
<body><center><h1>500 Internal Server Error</h1></center><hr><center>nginx</center></body>
</html>
"""

PLAIN_HTML = """<!DOCTYPE html>
<html lang="ru"><head><meta charset="utf-8"><title>Kwork</title></head>
<body><div id="app"></div></body></html>
"""
