"""Simulations: small theories of learning, run forward from random beginnings; pure in their arguments."""
