"""The markers of hook specifications and implementations."""

from __future__ import annotations

import pluggy

PROJECT = "i2i"

hookspec = pluggy.HookspecMarker(PROJECT)

hookimpl = pluggy.HookimplMarker(PROJECT)
