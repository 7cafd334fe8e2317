"""Options of a run and its components, and their TOML form.

Choosing the components themselves happens in `i2i.models`.
"""
