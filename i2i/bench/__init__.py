"""Comparing transfers: planning, running, testing and presenting many training runs."""
