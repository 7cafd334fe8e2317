"""The conformance suite, over every metric whose weights are here, and over a stranger's."""

from __future__ import annotations

from i2i.contracts.metric import Metric, Score
from i2i.registry.registry import installed
from i2i.testing import MetricTests


class Brightness(Metric):
    """Mean brightness of the translations."""

    name = "brightness"

    def score(self, case):
        values = case.fake.whole().mean((1, 2, 3))
        return Score(values.mean().item(), values.min().item(), values.max().item(), len(values))


class TestBrightness(MetricTests):
    metric = Brightness


for _name in sorted(set(installed().names(Metric)) - {"fid"}):  # whose weights no package carries
    _side = 176 if _name == "ms_ssim" else 64
    _suite = type(f"Test_{_name}", (MetricTests,), {"metric": installed().get(Metric, _name), "side": _side})
    globals()[_suite.__name__] = _suite
