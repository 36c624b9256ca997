"""Instruments an application that says nothing of it: what ``otel-monitoring run`` puts into its interpreter.

.. code-block:: text

    command ─ exec ─▶ start/sitecustomize ─▶ bootstrap ─▶ process    one service, one port, who serves it
    opentelemetry-instrument ─▶ distro ───────────────▶      ├─ applications   web frameworks, as they are imported
                                                             ├─ clients        HTTP clients, likewise
                                                             ├─ instrumentors  OpenTelemetry's, as installed
                                                             └─ checklist      says what was found
"""
