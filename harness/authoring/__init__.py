"""For authors of claims: `claimbench new` writes a claim, its card and a test of its measure from templates that run."""
