"""What CMIM gains, and what plain distillation by the same teacher gains instead.

Classes and depth of NYUv2. One full-precision twin teaches all runs; each loss has the
weight with the best mIoU in ``nyud_tune_distillation``: on the validation split, with
Bi-Real and a seed that is not among these.
"""

config = "nyud_seg_depth_bireal_tiny"
steps = 250
seeds = [0, 1, 2, 3, 4, 5]
needs = dict(
    twin=dict(config="nyud_seg_depth_fp_tiny", seed=0, **{"train_cfg.max_iters": 400})
)


def _distilled(*added, partner="none", **options):
    return {
        "model.partner": partner,
        "model.teacher": "{twin}",
        "model.added_losses": list(added),
        **options,
    }


_hint = dict(type="FeatureDistillationLoss", kind="hint", weight=10.0)
_logits = dict(type="LogitDistillationLoss", weight=2.7)
_cmim = {"partner": "teacher", "model.weight": 2.0}

axes = dict(
    method=dict(
        bireal={"model.model.backbone.method": "bireal"},
        reactnet={"model.model.backbone.method": "reactnet"},
    ),
    loss=dict(
        none={"model.partner": "none", "model.teacher": None},
        latent={
            "model.partner": "latent",
            "model.teacher": None,
            "model.weight": 1.0,
        },
        cmim=_distilled(**_cmim),
        kd=_distilled(_logits),
        hint=_distilled(_hint),
        attention=_distilled(
            dict(type="FeatureDistillationLoss", kind="attention", weight=1000.0)
        ),
        cmim_kd=_distilled(_logits, **_cmim),
        cmim_hint=_distilled(_hint, **_cmim),
        crd=_distilled(
            partner="teacher",
            **{
                "model.weight": 0.1,
                "model.loss": dict(
                    name="crd", rows=795, negatives=700, other_class=False
                ),
            },
        ),
        lckd=_distilled(dict(type="LipschitzDistillationLoss", weight=1 / 2)),
    ),
)
baseline = dict(loss="none")
division = "closed"
examples = 3
