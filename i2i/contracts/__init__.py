"""The classes that plugins implement, and the values that components exchange.

Nothing here is looked up, loaded or trained.
"""
