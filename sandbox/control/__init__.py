"""The control API: how tests and demos move the stand-in's world."""
