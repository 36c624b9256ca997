"""Instruments an application that says nothing of it: what ``otel-monitoring run`` puts into its interpreter.

.. code-block:: text

    command ─ exec ─▶ start/sitecustomize ─▶ bootstrap ─▶ process   one service, and who serves its metrics
    opentelemetry-instrument ─▶ distro ───────┘   ├─ imports        tells what is imported, to these:
                                                  │   ├─ applications   web applications, when they are served
                                                  │   └─ supervisors    programs that only keep workers
                                                  ├─ instrumentors  OpenTelemetry's, as installed
                                                  └─ checklist      says what was found

``environment`` is what is handed on from process to process, ``libraries`` who instruments what.
"""
