"""Hook specifications, plugin discovery, component look-up and events.

What a component does is described in `i2i.contracts`.
"""
