"""``python -m i2i`` is ``i2i``."""

from __future__ import annotations

from i2i.cli import main

main()
