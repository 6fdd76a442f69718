"""Weights of the losses that use the teacher, chosen on the validation split.

Classes and depth of NYUv2, Bi-Real ResNet-18, one seed that no reported run has. What
is best here is then trained with other seeds and tested once.
"""

config = "nyud_seg_depth_bireal_tiny"
steps = 150
seeds = [100]
options = {"model_selection": True}
needs = dict(twin=dict(config="nyud_seg_depth_fp_tiny", **{"train_cfg.max_iters": 400}))


def _contrast(weight):
    return {"model.teacher": "{twin}", "model.weight": weight}


def _distillation(of, **options):
    added = dict(type=f"{of}DistillationLoss", **options)
    return {
        "model.partner": "none",
        "model.teacher": "{twin}",
        "model.added_losses": [added],
    }


def _crd(weight):
    """One row for each of the 636 frames; any other frame is a negative."""
    loss = dict(name="crd", rows=636, negatives=600, other_class=False)
    return {"model.teacher": "{twin}", "model.weight": weight, "model.loss": loss}


axes = dict(
    loss=dict(
        none={"model.partner": "none", "model.teacher": None},
        cmim_05=_contrast(0.5),
        cmim_1=_contrast(1.0),
        cmim_2=_contrast(2.0),
        kd_03=_distillation("Logit", weight=0.3),
        kd_09=_distillation("Logit", weight=0.9),
        kd_27=_distillation("Logit", weight=2.7),
        hint_1=_distillation("Feature", kind="hint", weight=1.0),
        hint_10=_distillation("Feature", kind="hint", weight=10.0),
        hint_100=_distillation("Feature", kind="hint", weight=100.0),
        attention_10=_distillation("Feature", kind="attention", weight=10.0),
        attention_100=_distillation("Feature", kind="attention", weight=100.0),
        attention_1000=_distillation("Feature", kind="attention", weight=1000.0),
        lckd_1=_distillation("Lipschitz", weight=1 / 200),
        lckd_10=_distillation("Lipschitz", weight=1 / 20),
        lckd_100=_distillation("Lipschitz", weight=1 / 2),
        crd_01=_crd(0.1),
        crd_05=_crd(0.5),
        crd_2=_crd(2.0),
        cmim_4=_contrast(4.0),
        latent_03={"model.partner": "latent", "model.teacher": None},
        latent_1={
            "model.partner": "latent",
            "model.teacher": None,
            "model.weight": 1.0,
        },
        latent_3={
            "model.partner": "latent",
            "model.teacher": None,
            "model.weight": 3.0,
        },
    )
)
baseline = dict(loss="none")
division = "closed"
