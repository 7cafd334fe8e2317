"""A run: its folder, configuration, stages and listeners.

One training step lives in `i2i.training`.
"""
