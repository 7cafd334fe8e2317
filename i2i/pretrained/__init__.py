"""Pretrained networks: finding their weights, extracting and caching features.

The networks themselves live in plugins.
"""
