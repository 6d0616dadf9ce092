"""Durable delivery: docs/durable-delivery.md explains it, with the states that a record goes through."""
