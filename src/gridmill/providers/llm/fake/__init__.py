"""A model server that is no model: both real APIs on loopback, for tests, benchmarks and demos.

Chosen by configuration only (a base URL). `python -m gridmill.providers.llm.fake` runs it as a
process; `FakeServer` runs it inside a test.
"""
