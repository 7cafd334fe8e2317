"""The classes that plugins implement, and the values that components exchange.

No code here looks up, loads or trains anything.
"""
