"""Campaigns of faults against a real registry: killed, cut off from its disk or its database, raced, lied to.

Each prints its figures; those that take long are `slow`. What has to hold after each fault is one function,
`judging.judge`.
"""
