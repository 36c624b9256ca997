"""Instrumentation: decorators, web applications, rate limits and the figures of the process."""
