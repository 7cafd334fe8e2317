"""Hook specifications, plugin discovery, component look-up and events.

The components themselves are described in `i2i.contracts`.
"""
