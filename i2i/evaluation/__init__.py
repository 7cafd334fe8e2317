"""Score models on held-out images, and detect failed training.

The metrics themselves are in plugins.
"""
