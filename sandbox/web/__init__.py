"""The web surface: kwork.ru as a browser and its scripts see it (FACTS part A)."""
