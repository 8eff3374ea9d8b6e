"""Kwork's rubricator as captured [CAP], for a database that has not read the categories yet.

It changes (new rubrics appear): what is read from Kwork takes precedence.
"""

from __future__ import annotations

from app.domain.kwork import Category

# A line each: id, slug, name; a subrubric is indented under its rubric.
_CAPTURED = """
15 design Дизайн
    25 logo Логотип и брендинг
    24 web-plus-mobile-design Веб и мобильный дизайн
    28 illustrations Арт и иллюстрации
    27 graphic-design Полиграфия
    90 interior-exterior-design Интерьер и экстерьер
    250 packaging Промышленный дизайн
    306 imagegeneration ИИ-генерация изображений
    270 presentations-infographics Презентации и инфографика
    68 vector-tracing Обработка и редактирование
    272 outdoor-advertising Наружная реклама
    286 e-commerce-social-network Маркетплейсы и соцсети
11 programming Разработка и IT
    38 website-repair Доработка и настройка сайта
    37 website-development Создание сайта
    41 script-programming Скрипты, боты и mini apps
    79 frontend Верстка
    80 software Десктоп программирование
    39 mobile-apps Мобильные приложения
    40 game-dev Игры
    255 server-administration Сервера и хостинг
    81 usability-testing Юзабилити, тесты и помощь
5 writing-translations Тексты и переводы
    235 resumes-and-letters Резюме и вакансии
    75 typing Набор текста
    74 business-copywriting Продающие и бизнес-тексты
    73 creative-writing Тексты и наполнение сайта
    35 translations Переводы
    303 textgeneration ИИ-тексты
17 seo SEO и трафик
    72 traffic Трафик
    71 keywords Семантическое ядро
    59 links Ссылки
    56 analytics Статистика и аналитика
    44 audit SEO аудиты, консультации
    43 optimization Внутренняя оптимизация
    273 integrated-promotion Продвижение сайта в топ
45 promotion Соцсети и маркетинг
    113 information-bases Базы данных и клиентов
    112 bulletin-boards Маркетплейсы и доски объявлений
    108 email-marketing E-mail маркетинг и рассылки
    49 context Контекстная реклама
    47 marketing Маркетинг и PR
    46 smm Соцсети и SMM
7 audio-video Аудио, видео, съемка
    106 editing-audio Редактирование аудио
    78 editing-media Видеосъемка и монтаж
    77 intro Интро и анимация логотипа
    76 animation Видеоролики
    23 music Музыка и песни
    20 audio Аудиозапись и озвучка
    300 videogeneration ИИ-генерация видео
83 business Бизнес и жизнь
    114 sites-for-sale Продажа сайтов и групп
    84 personal-assistant Персональный помощник
    64 financial-consulting Бухгалтерия и налоги
    63 lawyer-consulting Юридическая помощь
    55 training-consulting Обучение и консалтинг
    262 calls-sales Обзвоны и продажи
    265 recruitment Подбор персонала
    65 engineering Стройка и ремонт
"""


def captured_categories() -> tuple[Category, ...]:
    """Rubrics and subrubrics of May 2026 [CAP]."""
    found: list[Category] = []
    rubric: int | None = None
    for line in _CAPTURED.strip().splitlines():
        number, slug, name = line.split(maxsplit=2)
        is_rubric = not line.startswith(" ")
        found.append(Category(int(number), name, slug, None if is_rubric else rubric))
        if is_rubric:
            rubric = int(number)
    return tuple(found)
