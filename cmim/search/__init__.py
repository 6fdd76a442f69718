"""Which networks are worth training: their milliseconds here, before any training."""
