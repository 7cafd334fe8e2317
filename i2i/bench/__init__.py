"""Benchmarks that compare transfers: plan, train, score, test and present many runs."""
