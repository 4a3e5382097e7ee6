"""Checks on texts that go in and out. They decide; they do no I/O."""
