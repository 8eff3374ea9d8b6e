"""Entry point of Kwork Service."""
