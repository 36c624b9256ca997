"""What recording, decorating, serving and scraping cost, beside what others take for it.

Run ``python -m benchmarks`` from the top of the tree.
"""
