"""Options of a run and its components, and their TOML form.

The components themselves are chosen in `i2i.models`.
"""
