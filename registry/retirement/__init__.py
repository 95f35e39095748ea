"""Retirement: units leave circulation for a named beneficiary, for good, with a certificate that a stranger
can check.
"""
