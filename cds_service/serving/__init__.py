"""What all routes share: the process's resources, models, request bodies, CORS, health, metrics and gunicorn.

Nothing here knows about hooks or cards.
"""
