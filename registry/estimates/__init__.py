"""Biomass to tonnes of CO2 equivalent, by method version."""
