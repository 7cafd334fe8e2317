"""Importing and exporting other projects' checkpoints.

The formats themselves live in plugins.
"""
