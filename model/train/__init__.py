"""Training: LLaVA's two stages, and the making of a toy model to try them on."""
