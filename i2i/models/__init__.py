"""Building models from component names, and saving and loading them.

Training lives in `i2i.training`.
"""
