"""Records for tests of the report, as runs of a suite write them."""

from __future__ import annotations


def record(method: str, loss: str, seed: int, miou: float, **more) -> dict:
    """A finished run of the suite ``small``; ``more`` replaces parts of it."""
    return dict(
        dict(
            protocol="2026.11",
            key=f"{method}{loss}{seed}".ljust(16, "0"),
            suite="small",
            status="ok",
            labels={"method": method, "loss": loss},
            seed=seed,
            division="closed",
            options={},
            test={"mIoU": miou, "images": 3, "per_class": {}},
            main={"mIoU": True},
            cost={
                "ops": 1e9 if method == "fp" else 1e8,
                "memory_mbit": 4.0,
                "minutes": 2,
            },
            trace={"every": 1, "loss": [3.0, 2.5, 2.0 + seed / 10]},
            code={"commit": "abc", "digest": "", "modules": []},
            machine={"cpu": "A CPU", "flags": ["avx2"]},
            resolved={"model": {"partner": loss}},
        ),
        **more,
    )


RECORDS = [
    *(record("bireal", "none", seed, 5 + seed) for seed in range(3)),
    *(record("bireal", "kd", seed, 6.5 + seed) for seed in range(3)),
    record("fp", "none", 0, 9.0),
    dict(record("fp", "kd", 0, 0.0), status="failed", test={}, reason="<no data>"),
]
