"""The database that errors are kept in: SQLite or PostgreSQL, by SQLAlchemy Core.

Import its modules where they are used: SQLAlchemy is not for those who keep no errors.
"""
