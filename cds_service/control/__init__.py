"""Who may speak: modes, switches and opt-outs as recorded acts, and what a model may do in a call. No route."""
