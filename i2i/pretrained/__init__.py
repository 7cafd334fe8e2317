"""Pretrained networks: where their weights are found, and how features are extracted and cached.

The networks themselves live in plugins.
"""
