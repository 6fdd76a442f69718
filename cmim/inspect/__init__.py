"""Looking into networks: tables of their layers, and what their activations carry."""
