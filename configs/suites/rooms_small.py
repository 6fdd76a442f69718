"""Two methods and two losses, two seeds each, on the generated rooms: minutes."""

config = "rooms_seg_bireal"
steps = 60
seeds = [0, 1]
axes = dict(
    method=dict(
        bireal={"model.model.backbone.method": "bireal"},
        reactnet={"model.model.backbone.method": "reactnet"},
    ),
    loss=dict(
        none={"model.partner": "none"},
        latent={"model.partner": "latent"},
    ),
)
baseline = dict(loss="none")
division = "closed"
examples = 3
