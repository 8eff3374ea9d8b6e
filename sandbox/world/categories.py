"""The rubricator as captured on 2026-05-20 [CAP]; attributes exist for a few subrubrics only."""

from sandbox.world.model import Attribute, Category

_TREE = """
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

_ATTRIBUTES = {
    41: {
        211: "Парсеры",
        3587: "Чат-боты",
        7352: "Скрипты",
        3934090: "Telegram Mini Apps",
        4158112: "ИИ-боты",
        4158119: "Машинное обучение",
        5503256: "IoT",
        5548694: "ИИ-агенты",
    },
    37: {1051: "Новый сайт", 1052: "Копия сайта", 1053: "Сайт на конструкторе"},
    25: {2210: "Логотип", 2211: "Фирменный стиль", 2212: "Брендбук"},
    46: {3101: "ВКонтакте", 3102: "Telegram", 3103: "YouTube"},
}


def build_categories() -> list[Category]:
    """The seven rubrics with their subrubrics."""
    roots: list[Category] = []
    for line in _TREE.strip("\n").splitlines():
        number, slug, title = line.split(maxsplit=2)
        category = Category(int(number), title, slug)
        if not line.startswith(" "):
            roots.append(category)
            continue
        category.parent_id = roots[-1].id
        category.max_price = 71183 if category.id == 41 else 70000
        category.attributes = [Attribute(i, t) for i, t in _ATTRIBUTES.get(category.id, {}).items()]
        roots[-1].children.append(category)
    return roots
