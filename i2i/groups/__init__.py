"""Adding, exporting, attaching and removing the groups of a trained model.

Branches themselves live in `i2i.contracts`.
"""
