"""What every route stands on: the process's resources, loaded models, bodies, CORS, health, metrics and gunicorn.

Nothing here knows a hook or a card.
"""
