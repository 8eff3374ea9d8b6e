"""``python main.py admin …``: what whoever runs the service does to it from the command line."""
