"""Logging: error events of structlog and of the standard library, on their way to the corridor.

``chain``, ``configure`` and ``emit`` import structlog; import them where they are used.
"""
