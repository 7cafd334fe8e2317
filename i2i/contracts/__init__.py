"""What a plugin implements, and the values that its components exchange.

Nothing here is looked up, loaded or trained.
"""
