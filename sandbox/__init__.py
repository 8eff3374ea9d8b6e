"""A stand-in for Kwork.ru (web and mobile surfaces) and a demo CRM: `python -m sandbox`.

A program of its own for demos and tests. The service never imports it; they only meet over HTTP.
"""
