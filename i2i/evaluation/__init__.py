"""Scoring a model on held-out images, and spotting failed training.

The metrics themselves live in plugins.
"""
