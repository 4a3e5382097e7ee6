"""How much each key, tenant and the whole service may use."""
